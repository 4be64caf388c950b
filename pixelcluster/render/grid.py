"""Contact sheets: pictures beside their segmentations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.render.overlay import with_legend

_PAPER = (255, 255, 255)
_WIDTH = 1600  # pixels


def contact_sheet(
    pairs: Sequence[tuple[Image.Image, Image.Image]],
    *,
    palette: NDArray[np.uint8] | None = None,
    shares: Sequence[float] | None = None,
) -> Image.Image:
    """Lay (picture, overlay) pairs out in rows of nearly equal height, one shared legend beneath.

    Pairs are placed in order; each row is scaled so that it fills the width, as in a photo gallery, so that
    mixed sizes and orientations leave no holes.

    Args:
        pairs: pictures and their overlays, of any sizes.
        palette: (K, 3) uint8 for the legend; none is drawn without it.
        shares: K fractions of all pixels for the legend.

    Returns:
        RGB picture, 1600 pixels wide.

    Raises:
        PixelClusterError: no pair at all.
    """
    if not pairs:
        raise PixelClusterError("a contact sheet needs at least one picture; got none")
    gap = _WIDTH // 200
    rows = _justified_rows([_aspect(picture) for picture, _ in pairs], per_row=2 if len(pairs) > 2 else 1)
    strips, start = [], 0
    for count in rows:
        strips.append(_strip(pairs[start : start + count], _WIDTH - 2 * gap, gap))
        start += count
    sheet = Image.new("RGB", (_WIDTH, sum(strip.height + gap for strip in strips) + gap), _PAPER)
    y = gap
    for strip in strips:
        sheet.paste(strip, (gap, y))
        y += strip.height + gap
    if palette is None or shares is None:
        return sheet
    return with_legend(sheet, palette, shares, text_size=_WIDTH // 64)


def _aspect(picture: Image.Image) -> float:
    """Width over height; a 1 x 5000 strip counts as 1 x 4, or it would flatten its whole row."""
    return min(max(picture.width / picture.height, 0.25), 4.0)


def _justified_rows(aspects: Sequence[float], per_row: int) -> list[int]:
    """How many pairs go in each row, so that a row holds about `per_row` average pairs."""
    target = per_row * sum(aspects) / len(aspects)
    rows, filled = [0], 0.0
    for aspect in aspects:
        # A pair goes where it leaves the row nearer to the target.
        if rows[-1] and abs(filled + aspect - target) > abs(filled - target):
            rows.append(0)
            filled = 0.0
        rows[-1] += 1
        filled += aspect
    return rows


def _strip(pairs: Sequence[tuple[Image.Image, Image.Image]], width: int, gap: int) -> Image.Image:
    inner = max(1, gap // 3)  # the two of a pair stand closer than neighbours do
    aspects = [_aspect(picture) for picture, _ in pairs]
    free = width - gap * (len(pairs) - 1) - inner * len(pairs)
    height = max(1, min(round(free / (2 * sum(aspects))), width // 3))
    strip = Image.new("RGB", (width, height), _PAPER)
    used = sum(2 * round(height * a) for a in aspects) + gap * (len(pairs) - 1) + inner * len(pairs)
    x = max(0, (width - used) // 2)
    for pair, aspect in zip(pairs, aspects, strict=True):
        cell = (max(1, round(height * aspect)), height)
        for picture, space in zip(pair, (inner, gap), strict=True):
            strip.paste(picture.resize(cell, _filter(picture, cell)), (x, 0))
            x += cell[0] + space
    return strip


def _filter(picture: Image.Image, cell: tuple[int, int]) -> Image.Resampling:
    """Smooth when shrinking; hard pixels when a tiny picture is blown up."""
    factor = math.sqrt(cell[0] * cell[1] / (picture.width * picture.height))
    return Image.Resampling.NEAREST if factor > 3 else Image.Resampling.LANCZOS
