"""Whatever holds images becomes one tensor of squares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelcluster.cluster.to_tensor import from_array, from_files, from_rows, row_format, squared
from pixelcluster.errors import PixelClusterError, PixelClusterWarning


def test_the_border_is_repeated_to_a_square() -> None:
    """A wide image keeps its proportions."""
    image = np.zeros((2, 4, 1), np.uint8)
    image[0], image[1] = 10, 200
    assert squared(image, 4)[0, :, 0].tolist() == [10, 10, 200, 200]


def test_floats_and_bytes_agree() -> None:
    """[0, 1] is 0..255."""
    images = np.random.default_rng(0).integers(0, 256, (3, 6, 6), dtype=np.uint8)
    assert torch.equal(from_array(images, 6), from_array(images / 255, 6))


def test_rows_are_images() -> None:
    """Sixteen numbers are 4 x 4; beyond the range they saturate."""
    rows = np.arange(16.0)[None] * 2
    form = row_format(rows / 2)
    assert from_rows(rows, form, 4)[0, 0, 0].tolist() == [0, 34, 68, 102]
    assert from_rows(rows, form, 4)[0, 0, 3, 3] == 255
    assert from_rows(np.ones((2, 5)), row_format(np.ones((2, 5))), 8).shape == (2, 1, 8, 8)


def test_a_folder_of_mixed_sizes_and_a_bad_file(tmp_path: Path) -> None:
    """Resized with a note; the bad file is listed."""
    Image.new("L", (20, 10), 80).save(tmp_path / "a.png")
    Image.new("L", (12, 12), 90).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"no image")
    with pytest.warns(PixelClusterWarning, match="2 different sizes"):
        images, paths, failures = from_files([tmp_path], 16)
    assert images.shape == (2, 1, 16, 16)
    assert [path.name for path in paths] == ["a.png", "b.png"]
    assert [path.name for path, _ in failures] == ["c.png"]


def test_colour_stays_colour(tmp_path: Path) -> None:
    """One coloured image makes all of them three channels."""
    Image.new("RGB", (12, 12), (200, 10, 10)).save(tmp_path / "a.png")
    Image.new("L", (12, 12), 90).save(tmp_path / "b.png")
    assert from_files([tmp_path], 8)[0].shape == (2, 3, 8, 8)


def test_nothing_readable(tmp_path: Path) -> None:
    """The first reason is told."""
    (tmp_path / "c.png").write_bytes(b"no image")
    with pytest.raises(PixelClusterError, match=r"c\.png"):
        from_files([tmp_path], 8)
