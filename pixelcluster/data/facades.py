"""CMP Facades: rectified house fronts, 12 labels, or the four of the clustered generator paper.

Source: Tylecek, Sara, Spatial pattern templates for recognition of objects with regular structure, GCPR 2013
(606 images: base 378, extended 228); 256 x 256 px as in Isola et al., Image-to-image translation with
conditional adversarial networks, CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelcluster.data.files import read_stems
from pixelcluster.data.labelled import (
    IGNORE,
    UNKNOWN,
    LabelledImage,
    flat_pairs,
    labels_by_stem,
    pngs_by_stem,
    read_ids,
    resize_item,
    same_size,
)
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.read import read_image

SIDE = 256
PUBLISHED = 606
PARTS = ("base", "extended")
NAMES = (
    "background",
    "facade",
    "window",
    "door",
    "cornice",
    "sill",
    "balcony",
    "blind",
    "deco",
    "molding",
    "pillar",
    "shop",
)
GROUPS: dict[str, tuple[str, ...]] = {
    "wall": ("facade",),
    "door": ("door",),
    "window": ("window", "blind"),
    "decoration": ("cornice", "sill", "balcony", "deco", "molding", "pillar"),
}
"""The paper's four labels; background and shop belong to none and are not scored."""


class Facades:
    """The images of a CMP Facades folder at 256 x 256 px, read from disk on access.

    Two layouts are understood: the official `base/` and `extended/` (either is enough) of cmp_*.jpg with
    indexed cmp_*.png beside it, ids 1..12, and `images/` + `labels/` with ids 0..11 in the same order, 255
    not scored. Images of another size are resized without keeping the aspect ratio, as the 256 px edition
    was: image by area, labels nearest.

    Args:
        root: folder of the data set.
        classes: 12, or 4 for `GROUPS`; then background and shop are masked, as IIC masks what it ignores.
        image_list: one or several text files (plain or gzip) with one stem a line; None takes every image.

    Attributes:
        stems: the images, in the order of the list or sorted.
        class_names: one name a class.
        notes: how many images there are, beside the published number.

    Raises:
        PixelClusterError: the layout is not recognised, an image or label is missing, or an id is unknown.
    """

    def __init__(
        self, root: Path | str, classes: int = 12, image_list: Path | Sequence[Path] | None = None
    ) -> None:
        """Index the files."""
        root = Path(root)
        wanted = None if image_list is None else read_stems(image_list)
        parts = [root / part for part in PARTS if (root / part).is_dir()]
        if parts:
            images = {stem: path for part in parts for stem, path in _photos(part).items()}
            labels = {stem: path for part in parts for stem, path in pngs_by_stem(part).items()}
            self._pairs = labels_by_stem(images, labels, wanted, root)
        elif (root / "images").is_dir() and (root / "labels").is_dir():
            self._pairs = flat_pairs(root, wanted)
        else:
            raise PixelClusterError(
                f"{show_path(root)}: not a CMP Facades folder, wanted base/ and extended/ with cmp_*.jpg and "
                "cmp_*.png, or images/ + labels/"
            )
        self._first = 1 if parts else 0
        self._table = class_table(classes, first=self._first)
        self.class_names = tuple(GROUPS) if classes == len(GROUPS) else NAMES
        self.stems = tuple(self._pairs)
        self.notes = (f"{len(self.stems)} images; the published set has {PUBLISHED}",)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.stems)

    def __getitem__(self, index: int) -> LabelledImage:
        """Return the image at `index` as it is scored.

        Raises:
            PixelClusterError: a file is unreadable, an id unknown, or the sizes of image and label differ.
        """
        image_path, label_path = self._pairs[self.stems[index]]
        known = f"{self._first}..{self._first + len(NAMES) - 1} and {IGNORE}"
        image, label = read_image(image_path), read_ids(label_path, self._table, known)
        same_size(image, label, label_path)
        item = LabelledImage(self.stems[index], image, label, label != IGNORE)
        return item if label.shape == (SIDE, SIDE) else resize_item(item, SIDE, SIDE)


def class_table(classes: int, *, first: int) -> NDArray[np.uint8]:
    """Return the table (256,) uint8 from file ids to class ids, 255 not scored, `UNKNOWN` not allowed.

    Args:
        classes: 4 or 12.
        first: the file id of "background": 1 in the official PNGs, where 0 is unlabelled, else 0.

    Raises:
        PixelClusterError: another number of classes.
    """
    if classes not in (len(GROUPS), len(NAMES)):
        raise PixelClusterError(f"CMP Facades has {len(GROUPS)} or {len(NAMES)} classes, got {classes}")
    table = np.full(256, UNKNOWN, dtype=np.uint8)
    table[IGNORE] = table[:first] = IGNORE
    groups = list(GROUPS.values()) if classes == len(GROUPS) else [(name,) for name in NAMES]
    for index, name in enumerate(NAMES):
        table[first + index] = next((own for own, names in enumerate(groups) if name in names), IGNORE)
    return table


def _photos(folder: Path) -> dict[str, Path]:
    """Return the photographs of an official folder by stem; its PNGs are labels."""
    return {path.stem: path for path in sorted(folder.glob("*.jpg")) if not path.name.startswith(".")}
