from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import GimpPaletteFile

from pixelcluster.errors import PixelClusterError
from pixelcluster.render.palette import categorical
from pixelcluster.render.palette_file import check_palette, chosen_palette, palette_text, read_palette


@pytest.mark.parametrize("name", ["p.txt", "p.json", "p.gpl"])
def test_round_trip(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(palette_text(categorical(9), Path(name).suffix))
    np.testing.assert_array_equal(read_palette(tmp_path / name), categorical(9))


def test_pillow_reads_the_gimp_file(tmp_path: Path) -> None:
    (tmp_path / "p.gpl").write_text(palette_text(categorical(5), ".gpl"))
    with (tmp_path / "p.gpl").open("rb") as handle:
        data, _ = GimpPaletteFile.GimpPaletteFile(handle).getpalette()
    assert data[:15] == categorical(5).tobytes()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.txt", "# sky\n1 2 3\n\n 4,5, 6 grass\n"),
        ("p.txt", "#010203\n# sky\n#040506\n"),
        ("p.json", '[[1, 2, 3], "#040506"]'),
        ("p.gpl", "GIMP Palette\nName: x 1 2 3\nColumns: 4\n#\n  1   2   3\tsky 9\n4 5 6\n"),
    ],
)
def test_hand_written_files(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    np.testing.assert_array_equal(read_palette(tmp_path / name), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("p.txt", "1 2 3\n1 2\n", "line 2"),
        ("p.txt", "1 2 256\n", "line 1"),
        ("p.txt", "1 2 3 4\n", "line 1"),
        ("p.txt", "\n# nothing\n", "no colour"),
        ("p.json", "{", "JSON"),
        ("p.json", '{"a": 1}', "no list"),
        ("p.json", "[[1, 2, true]]", "entry 0"),
        ("p.json", '["red"]', "entry 0"),
        ("p.txt", "\udcff", "not a text file"),
    ],
)
def test_bad_files_name_the_place(tmp_path: Path, name: str, text: str, word: str) -> None:
    (tmp_path / name).write_text(text, errors="surrogateescape")
    with pytest.raises(PixelClusterError, match=word) as caught:
        read_palette(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match="no such file"):
        read_palette(tmp_path / "gone.txt")
    (tmp_path / "huge.txt").write_text("1 2 3\n" * 200_000)
    with pytest.raises(PixelClusterError, match="1 MB"):
        read_palette(tmp_path / "huge.txt")


def test_a_palette_by_name_or_file(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("1 2 3\n4 5 6\n")
    two = str(tmp_path / "two.txt")
    np.testing.assert_array_equal(chosen_palette(two, 2, "x"), [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(chosen_palette("grey", 2, "x"), [[0, 0, 0], [255, 255, 255]])
    with pytest.raises(PixelClusterError, match="holds 2 colours, but x has ids up to 2"):
        chosen_palette(two, 3, "x")
    with pytest.raises(PixelClusterError, match="no such palette; choose categorical, mean, grey"):
        check_palette("rainbow")
