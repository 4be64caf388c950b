from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pixelcluster.data.folder as module
from pixelcluster.data.folder import limit_side, read_images
from pixelcluster.errors import PixelClusterError


def test_bad_files_are_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    Image.new("RGB", (40, 20), "blue").save(tmp_path / "deeper" / "wide.png")
    Image.new("L", (3, 5), 255).save(tmp_path / "grey.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    failures: list[tuple[Path, str]] = []
    found = {path.name: image.shape for path, image in read_images([tmp_path], failures)}
    assert found == {"grey.png": (5, 3, 3), "wide.png": (20, 40, 3)}
    ((path, message),) = failures
    assert path.name == "broken.png"
    assert "broken.png" in message
    failures.clear()
    assert [path.name for path, _ in read_images([tmp_path], failures, max_pixels=15)] == ["grey.png"]
    assert len(failures) == 2


def test_every_file_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(module, "read_image", lambda path, max_pixels: read.append(path))
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    assert len(list(read_images([tmp_path], []))) == len(read) == 2


def test_a_folder_without_readable_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"")
    with pytest.raises(PixelClusterError, match=r"no readable image in .*broken\.png"):
        list(read_images([tmp_path], []))


def test_shrinking_averages_areas_and_never_enlarges() -> None:
    checks = np.indices((8, 8)).sum(axis=0) % 2
    image = np.repeat(checks[..., None], 3, axis=2).astype(np.float32)
    assert limit_side(image, 4) == pytest.approx(np.full((4, 4, 3), 0.5))
    assert limit_side(image, 8) is image
    assert limit_side(image[:1], 2).shape == (1, 2, 3)
