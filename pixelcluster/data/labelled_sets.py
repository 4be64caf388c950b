"""The per-pixel data sets by name, and what a check says of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from pixelcluster.data.coco_stuff import CocoStuff
from pixelcluster.data.facades import Facades
from pixelcluster.data.labelled import IGNORE, LabelledSet
from pixelcluster.data.labelled_folder import LabelledFolder
from pixelcluster.data.potsdam import Potsdam
from pixelcluster.errors import PixelClusterError

_SETS: dict[str, Callable[[Path], LabelledSet]] = {
    "coco-stuff-3": partial(CocoStuff, classes=3),
    "coco-stuff-15": partial(CocoStuff, classes=15),
    "potsdam-3": partial(Potsdam, classes=3),
    "potsdam-6": partial(Potsdam, classes=6),
    "facades-4": partial(Facades, classes=4),
    "facades-12": partial(Facades, classes=12),
    "folder": partial(LabelledFolder, max_side=256),
}
NAMES = tuple(_SETS)


def load_labelled_set(name: str, root: Path | str) -> LabelledSet:
    """Return a data set read from disk in its protocol.

    Args:
        name: one of `NAMES`; "folder" is any images/ + labels/ folder, shrunk to 256 px.
        root: its folder.

    Raises:
        PixelClusterError: an unknown name, or files that are missing or wrong, named.
    """
    if name not in _SETS:
        raise PixelClusterError(f"unknown data set {name!r}; wanted one of {', '.join(NAMES)}")
    return _SETS[name](Path(root))


def describe_labelled_set(dataset: LabelledSet) -> list[str]:
    """Read every image of a data set and return what a check says of it, line by line.

    Raises:
        PixelClusterError: a file is unreadable or wrong.
    """
    counts = np.zeros(256, dtype=np.int64)
    shapes: dict[tuple[int, ...], int] = {}
    for index in range(len(dataset)):
        item = dataset[index]
        counts += np.bincount(item.label.ravel(), minlength=256)
        shapes[item.image.shape] = shapes.get(item.image.shape, 0) + 1
    lines = list(dataset.notes)
    for shape, number in sorted(shapes.items(), key=lambda pair: -pair[1])[:4]:
        lines.append(f"{number:,} of {shape[1]} x {shape[0]} px, {shape[2]} channels")
    if len(shapes) > 4:
        lines.append(f"and {len(shapes) - 4} other sizes")
    scored = counts.sum() - counts[IGNORE]
    lines.append(f"{scored / counts.sum():.1%} of the pixels are scored; of these")
    for name, count in zip(dataset.class_names, counts, strict=False):
        lines.append(f"  {count / max(scored, 1):6.1%}  {name}")
    return lines
