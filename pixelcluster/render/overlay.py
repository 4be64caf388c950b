"""A picture tinted by its clusters, boundaries drawn thin; the legend that goes beneath."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pixelcluster.render.fonts import font_for
from pixelcluster.render.palette import mean_colours

MAX_LEGEND = 32
_LONGEST_NAME = 24
_BAND = 50_000  # pixels
_INK, _FAINT, _PAPER = (32, 33, 36), (128, 132, 138), (255, 255, 255)


def overlay(
    image: NDArray[np.float32],
    label_map: NDArray[np.integer],
    palette: NDArray[np.uint8],
    *,
    opacity: float = 0.5,
) -> Image.Image:
    """Tint each pixel with its cluster's colour and draw white lines between clusters.

    Args:
        image: (H, W, 3) in [0, 1].
        label_map: (H, W) ids, 0 .. K-1.
        palette: (K, 3) uint8.
        opacity: 0 shows the picture, 1 the flat colours.

    Returns:
        RGB picture of the same size.
    """
    edge = boundaries(label_map, width=line_width(*label_map.shape))
    tint = (palette * opacity).astype(np.float32)
    mixed = np.empty(image.shape, dtype=np.uint8)
    rows = max(1, _BAND // image.shape[1])
    for top in range(0, len(image), rows):  # in bands that stay in the processor's cache
        band = slice(top, top + rows)
        levels = _tint(image[band], tint[label_map[band]], opacity)
        levels[edge[band]] *= np.float32(0.2)
        levels[edge[band]] += np.float32(0.8 * 255)
        mixed[band] = levels + np.float32(0.5)
    return Image.fromarray(mixed)


def _tint(colours: NDArray[np.floating], tint: NDArray[np.float32], opacity: float) -> NDArray[np.float32]:
    """Lay a tint, already multiplied by its opacity, over colours in [0, 1]; both (..., 3). 0 .. 255."""
    # Some of the picture's own colour leaves with the tint: orange over a blue sky would otherwise turn grey.
    fade = 0.7 * opacity
    grey = colours @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    levels: NDArray[np.float32] = colours * np.float32(255 * (1 - opacity) * (1 - fade))
    levels += (grey * np.float32(255 * (1 - opacity) * fade))[..., None]
    levels += tint
    return levels


def swatches(
    image: NDArray[np.float32],
    label_map: NDArray[np.integer],
    palette: NDArray[np.uint8],
    *,
    opacity: float = 0.5,
) -> NDArray[np.uint8]:
    """The mean colour that each cluster has in `overlay`, boundaries apart, for the legend: (K, 3) uint8."""
    means = mean_colours(image, label_map, len(palette)).astype(np.float32)
    tint = (palette * opacity).astype(np.float32)
    mixed: NDArray[np.uint8] = (_tint(means, tint, opacity) + np.float32(0.5)).astype(np.uint8)
    return mixed


def boundaries(label_map: NDArray[np.integer], *, width: int = 1) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour has another id, widened to lines.

    Args:
        label_map: (H, W) ids.
        width: thickness of the line in pixels.

    Returns:
        (H, W) bool.
    """
    edge = np.zeros(label_map.shape, dtype=bool)
    edge[:, :-1] |= label_map[:, :-1] != label_map[:, 1:]
    edge[:-1] |= label_map[:-1] != label_map[1:]
    for _ in range(width - 1):
        edge[:, 1:] |= edge[:, :-1].copy()
        edge[1:] |= edge[:-1].copy()
    return edge


def line_width(height: int, width: int) -> int:
    """Thickness of a line that is one pixel up to about two megapixels and still seen on larger pictures."""
    return max(1, round(math.sqrt(height * width) / 1400))


def font_size(height: int, width: int) -> int:
    """Text height in pixels for a picture: about 1/34 of its side, from 12 to 160."""
    return int(min(max(math.sqrt(height * width) / 34, 12), 160))


def with_legend(
    picture: Image.Image,
    palette: NDArray[np.uint8],
    shares: Sequence[float],
    names: Sequence[str] = (),
    *,
    text_size: int | None = None,
) -> Image.Image:
    """Put a legend under a picture: a swatch, the id, the name, and the share of pixels, by id.

    Args:
        picture: any RGB picture.
        palette: (K, 3) uint8, of the swatches; see `swatches`.
        shares: K fractions of all pixels; clusters without pixels are left out.
        names: K names, "" for none; or none at all.
        text_size: in pixels; chosen from the picture's size where not given.

    Returns:
        A picture of at least the same width, higher by the legend. The `MAX_LEGEND` largest clusters are
        listed, and the number of the others is told.
    """
    size = text_size or font_size(picture.height, picture.width)
    ids = [int(i) for i in np.argsort(-np.asarray(shares), kind="stable") if shares[i] > 0]
    shown = sorted(ids[:MAX_LEGEND])  # so that legends of one model read alike
    words = {i: f"{i} {_fitting(names[i])}".rstrip() if names else str(i) for i in shown}
    font = font_for(words.values(), size)
    id_width = max(font.getlength(word) for word in words.values())
    share_width = max(font.getlength(share_text(shares[i])) for i in shown)
    gap, swatch = round(0.45 * size), size
    item_width = math.ceil(swatch + gap + id_width + gap + share_width)
    item_space, row_height, margin = round(1.4 * size), round(1.75 * size), round(0.9 * size)

    width = max(picture.width, item_width + 2 * margin)
    columns = max(1, (width - 2 * margin + item_space) // (item_width + item_space))
    rows = math.ceil((len(shown) + (len(ids) > len(shown))) / columns)
    canvas = Image.new("RGB", (width, picture.height + rows * row_height + round(1.2 * size)), _PAPER)
    canvas.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(canvas)
    # Columns share the width evenly, so that a legend of one row spans the picture.
    step = (width - 2 * margin + item_space) / columns if rows > 1 else item_width + item_space
    top = picture.height + round(0.6 * size)
    for n, i in enumerate(shown):
        x, middle = margin + round((n % columns) * step), top + (n // columns) * row_height + row_height // 2
        box = (x, middle - swatch // 2, x + swatch, middle - swatch // 2 + swatch)
        draw.rounded_rectangle(box, radius=max(2, size // 5), fill=tuple(int(v) for v in palette[i]))
        text_x = x + swatch + gap
        draw.text((text_x, middle), words[i], fill=_INK, font=font, anchor="lm")
        right = text_x + id_width + gap + share_width
        draw.text((right, middle), share_text(shares[i]), fill=_FAINT, font=font, anchor="rm")
    if len(ids) > len(shown):
        n = len(shown)
        x, middle = margin + round((n % columns) * step), top + (n // columns) * row_height + row_height // 2
        draw.text((x, middle), f"+ {len(ids) - len(shown)} more", fill=_FAINT, font=font, anchor="lm")
    return canvas


def _fitting(name: str) -> str:
    """A name short enough for a legend."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def share_text(share: float) -> str:
    """A fraction as people read it: "34 %", "3.4 %", "<0.1 %"."""
    percent = 100 * share
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{percent:.1f} %" if percent < 9.95 else f"{percent:.0f} %"
