"""Colours for clusters: categorical for any K, mean colours, or from a file."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError

PALETTES = ("categorical", "mean", "grey")
MAX_DISTINCT = 256
_BAND = 200_000  # pixels

# Sky blue and orange of Okabe and Ito, "Color Universal Design" (2008).
_FIRST = ((86, 180, 233), (230, 159, 0))
_GROUNDS = (40, 120, 200)  # grey levels: dark, middle and light parts of a picture
_OPACITY = 0.5  # of an overlay where nobody says
_LIGHTNESS = 0.5  # its weight: light and shade of the picture itself vary it

_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LMS_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

# Machado, Oliveira, Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency"
# (2009), severity 1: protan, deutan, tritan; rows act on linear RGB.
_DEFICIENCIES = np.array(
    [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
)


def categorical(n_colours: int) -> NDArray[np.uint8]:
    """Distinct colours, the same first ones for every K.

    Each is the sRGB colour farthest from all before it when both are laid over a picture: in OKLab with half
    the weight on lightness, on average over dark, middle and light grey, where the distance is a mean of the
    one seen with normal sight and the smallest one seen with protan, deutan and tritan sight. Past 256 the
    colours repeat: no eye tells more apart, and boundaries still do.

    Args:
        n_colours: K >= 0.

    Returns:
        (K, 3) uint8.
    """
    return np.resize(_farthest_points(min(n_colours, MAX_DISTINCT)), (n_colours, 3))


def hex_colours(palette: NDArray[np.uint8]) -> list[str]:
    """Write the colours of a palette (K, 3) as web pages do: "#rrggbb"."""
    return ["#{:02x}{:02x}{:02x}".format(*colour) for colour in palette.tolist()]


def mean_colours(
    image: NDArray[np.float32], label_map: NDArray[np.integer], n_clusters: int
) -> NDArray[np.float64]:
    """Average colour of each cluster's pixels.

    Args:
        image: (H, W, 3) in [0, 1].
        label_map: (H, W) ids, 0 .. K-1.
        n_clusters: K.

    Returns:
        (K, 3) in [0, 1]; 0 for a cluster without pixels.
    """
    sums = np.zeros((n_clusters, 3))
    pixels = np.zeros(n_clusters)
    rows = max(1, _BAND // image.shape[1])
    for top in range(0, len(image), rows):  # in bands: bincount makes float64 copies
        ids = label_map[top : top + rows].ravel()
        pixels += np.bincount(ids, minlength=n_clusters)
        for channel in range(3):
            weights = image[top : top + rows, :, channel].ravel()
            sums[:, channel] += np.bincount(ids, weights, minlength=n_clusters)
    return sums / np.maximum(pixels, 1)[:, None]


def make_palette(
    name: str,
    n_clusters: int,
    *,
    image: NDArray[np.float32] | None = None,
    label_map: NDArray[np.integer] | None = None,
) -> NDArray[np.uint8]:
    """A palette by name.

    Args:
        name: "categorical", "mean" (needs image and label_map) or "grey" (black to white in equal steps).
        n_clusters: K.
        image: (H, W, 3) in [0, 1].
        label_map: (H, W) ids.

    Returns:
        (K, 3) uint8.

    Raises:
        PixelClusterError: an unknown name, or "mean" without its image.
    """
    if name == "categorical":
        return categorical(n_clusters)
    if name == "grey":
        return np.repeat(np.linspace(0, 255, n_clusters).round().astype(np.uint8)[:, None], 3, axis=1)
    if name != "mean":
        raise PixelClusterError(
            f"unknown palette {name!r}; choose one of {', '.join(PALETTES)}, or a palette file"
        )
    if image is None or label_map is None:
        raise PixelClusterError("the palette of mean colours needs the image; pass it with --image")
    means: NDArray[np.uint8] = (mean_colours(image, label_map, n_clusters) * 255).round().astype(np.uint8)
    return means


def oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear RGB to OKLab (Ottosson, "A perceptual color space for image processing", 2020).

    Args:
        rgb: (..., 3) linear RGB in [0, 1].

    Returns:
        (..., 3): lightness in [0, 1], green-red, blue-yellow.
    """
    lab: NDArray[np.float64] = np.cbrt(rgb @ _RGB_TO_LMS.T) @ _LMS_TO_LAB.T
    return lab


def linear_rgb(srgb: NDArray[np.uint8] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Undo the sRGB transfer curve (IEC 61966-2-1).

    Args:
        srgb: (..., 3), 0 .. 255.

    Returns:
        (..., 3) in [0, 1].
    """
    values = srgb / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@lru_cache(maxsize=1)
def _candidates() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Colours a cluster may get (N, 3), and as four kinds of sight see them on each ground (4, G, N, 3)."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    light = oklab(linear_rgb(grid))[:, 0]
    # Neither black nor white: an overlay must leave the shades of the picture visible.
    colours = np.concatenate([np.array(_FIRST, dtype=np.uint8), grid[(light > 0.5) & (light < 0.93)]])
    linear = np.stack([linear_rgb(_OPACITY * colours + (1 - _OPACITY) * ground) for ground in _GROUNDS])
    sights = np.stack([linear, *(linear @ sight.T for sight in _DEFICIENCIES)])
    return colours, oklab(sights.clip(0, 1)) * (_LIGHTNESS, 1, 1)


@lru_cache(maxsize=8)
def _farthest_points(n_colours: int) -> NDArray[np.uint8]:
    colours, seen = _candidates()
    nearest = np.full(
        (len(seen), len(colours)), np.inf
    )  # for each sight, distance to the nearest chosen colour
    chosen: list[int] = []
    while len(chosen) < n_colours:
        i = len(chosen)
        pick = i if i < len(_FIRST) else int((nearest[0] + nearest[1:].min(0)).argmax())
        chosen.append(pick)
        distance = np.linalg.norm(seen - seen[:, :, pick, None], axis=-1).mean(1)
        nearest = np.minimum(nearest, distance)
    return colours[chosen]
