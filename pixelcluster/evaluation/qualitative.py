"""The qualitative figure: image, what each method found, and the truth, in one colour a class.

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, figure 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pixelcluster.data.labelled import IGNORE, LabelledImage
from pixelcluster.metrics.matching import Confusion, match_clusters
from pixelcluster.render.palette import categorical

_SIDE = 160
_GAP = 4
_HEAD = 18
_PAPER, _INK, _UNSCORED = (255, 255, 255), (0, 0, 0), (60, 60, 60)

Maps = Sequence[NDArray[np.integer]]


def spread_over(items: Sequence[LabelledImage], count: int) -> list[int]:
    """Return the indices of `count` images, evenly spaced; nobody picks the nice ones."""
    places = np.linspace(0, len(items) - 1, min(count, len(items)))
    return [int(place) for place in np.unique(places.round())]


def qualitative_figure(
    items: Sequence[LabelledImage], found: Mapping[str, Maps], n_classes: int, chosen: Sequence[int]
) -> Image.Image:
    """Return a row an image: the image, a column a method, the truth.

    Args:
        items: all images of the run, over which a method's clusters are matched to classes.
        found: label maps of the items by the name of the method; pixels that are not scored are dark.
        n_classes: C.
        chosen: indices of the images shown.
    """
    palette = categorical(n_classes)
    truths = [item.label for item in items]
    columns: dict[str, list[NDArray[np.uint8]]] = {
        "image": [np.round(255 * items[index].rgb).astype(np.uint8) for index in chosen]
    }
    for name, maps in found.items():
        named = _named(maps, truths, n_classes)
        columns[name] = [_coloured(named[index], truths[index], palette) for index in chosen]
    columns["truth"] = [_coloured(truths[index], truths[index], palette) for index in chosen]
    step = _SIDE + _GAP
    sheet = Image.new("RGB", (len(columns) * step - _GAP, _HEAD + len(chosen) * step - _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, (name, pictures) in enumerate(columns.items()):
        pen.text((column * step + 2, 3), name, fill=_INK)
        for row, picture in enumerate(pictures):
            shape = (_SIDE, _SIDE)
            scaled = cv2.resize(picture, shape, interpolation=cv2.INTER_NEAREST)
            sheet.paste(Image.fromarray(scaled), (column * step, _HEAD + row * step))
    return sheet


def _named(maps: Maps, truths: Sequence[NDArray[np.uint8]], n_classes: int) -> list[NDArray[np.int64]]:
    """Return label maps with clusters renamed to the classes they match."""
    n_clusters = max(n_classes, 1 + max(int(label_map.max()) for label_map in maps))
    confusion = Confusion(n_clusters, n_classes)
    for label_map, truth in zip(maps, truths, strict=True):
        confusion.update(label_map, truth)
    names = match_clusters(confusion.table)
    return [names[label_map] for label_map in maps]


def _coloured(
    labels: NDArray[np.integer], truth: NDArray[np.uint8], palette: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the colours (H, W, 3) of class ids; dark where nothing is scored or no class matches."""
    known = (truth != IGNORE) & (labels >= 0) & (labels < len(palette))
    colours = palette[np.where(known, labels, 0)]
    colours[~known] = _UNSCORED
    return colours
