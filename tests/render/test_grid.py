from __future__ import annotations

import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.render.grid import contact_sheet
from pixelcluster.render.palette import categorical


def pair(width: int, height: int) -> tuple[Image.Image, Image.Image]:
    return Image.new("RGB", (width, height), (200, 0, 0)), Image.new("RGB", (width, height), (0, 0, 200))


def test_mixed_sizes_keep_the_width_and_show_every_picture() -> None:
    pairs = [pair(481, 321), pair(321, 481), pair(1, 5000), pair(28, 28), pair(5000, 1), pair(800, 600)]
    sheet = contact_sheet(pairs)
    assert sheet.width == 1600
    colours = {colour: count for count, colour in sheet.getcolors(10**6)}
    assert colours[(200, 0, 0)] == pytest.approx(colours[(0, 0, 200)], rel=0.01)
    assert colours[(200, 0, 0)] > 0.3 * 1600 * sheet.height


def test_one_pair_and_legend() -> None:
    plain = contact_sheet([pair(60, 40)])
    assert contact_sheet([pair(60, 40)], palette=categorical(2), shares=[0.5, 0.5]).height > plain.height


def test_no_pairs() -> None:
    with pytest.raises(PixelClusterError, match="at least one picture"):
        contact_sheet([])
