from __future__ import annotations

from pathlib import Path

import pytest

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.naming import plan_places, real_paths, refuse_replacing_inputs


def stems(files: list[str], output: Path | None = Path("out")) -> list[str]:
    groups = [(Path(f), [Path(f)]) for f in files]
    return [place.file("").as_posix() for place in plan_places(groups, output)]


def test_outputs_go_next_to_inputs_or_into_the_folder() -> None:
    assert stems(["a/x.png", "b/x.png"], None) == ["a/x", "b/x"]
    assert stems(["a/x.png", "b/y.jpg"]) == ["out/x", "out/y"]


def test_same_stems_keep_their_suffix_then_a_number() -> None:
    assert stems(["a/x.png", "a/x.jpg", "a/y.jpg"]) == ["out/x_png", "out/x_jpg", "out/y"]
    assert stems(["a/x.png", "b/x.png"]) == ["out/x_png-1", "out/x_png-2"]
    assert stems(["a/X.png", "b/x.jpg"]) == ["out/X_png", "out/x_jpg"]


def test_a_changed_name_never_meets_another() -> None:
    names = stems(["a/x.png", "b/x.png", "c/x_png-1.bmp", "c/x_png.bmp", "d/x"])
    assert len({name.lower() for name in names}) == 5


def test_a_folder_keeps_its_structure() -> None:
    root = Path("in")
    places = plan_places([(root, [root / "a.png", root / "s" / "a.png"])], Path("out"))
    assert [p.file("_labels.png").as_posix() for p in places] == ["out/a_labels.png", "out/s/a_labels.png"]


def test_inputs_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "x.png").touch()
    (tmp_path / "link.png").symlink_to(tmp_path / "x.png")
    with pytest.raises(PixelClusterError, match="is an input"):
        refuse_replacing_inputs([tmp_path / "link.png"], real_paths([tmp_path / "x.png"]))
    refuse_replacing_inputs([tmp_path / "y.png"], real_paths([tmp_path / "x.png"]))
