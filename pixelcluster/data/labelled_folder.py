"""Any folder of `images/` and `labels/`: single-channel 8-bit PNGs of ids with the stem of their image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelcluster.data.files import read_label_png, read_stems
from pixelcluster.data.labelled import (
    IGNORE,
    UNKNOWN,
    LabelledImage,
    flat_pairs,
    limit_item,
    read_ids,
    same_size,
)
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.read import read_image


class LabelledFolder:
    """The images of a folder with their labels, read from disk on access.

    Args:
        root: holds `images/` (JPEG or PNG) and `labels/` (PNG); 255 is not scored.
        classes: ids are 0..classes-1; None: the ids that occur in the files become 0, 1, ... in their order
            (every label is read once).
        image_list: one or several text files (plain or gzip) with one stem a line; None takes every image.
        max_side: longest side in pixels, larger images are shrunk (image by area, labels nearest); None keeps
            the files' size.

    Attributes:
        stems: the images, in the order of the list or sorted.
        class_names: the ids of the files as text.
        notes: how many images there are, and at which size they are read.

    Raises:
        PixelClusterError: a folder, an image or a label is missing, there are no ids, or `classes` or
            `max_side` is out of range.
    """

    def __init__(
        self,
        root: Path | str,
        classes: int | None = None,
        image_list: Path | Sequence[Path] | None = None,
        max_side: int | None = None,
    ) -> None:
        """Index the files and collect the ids."""
        if classes is not None and not 1 <= classes <= UNKNOWN:
            raise PixelClusterError(f"classes is a number in 1..{UNKNOWN}, got {classes}")
        if max_side is not None and max_side < 1:
            raise PixelClusterError(f"max_side is a number of pixels of at least 1, got {max_side}")
        self._pairs = flat_pairs(Path(root), None if image_list is None else read_stems(image_list))
        ids = list(range(classes)) if classes is not None else self._ids()
        if not ids or len(ids) > UNKNOWN:
            raise PixelClusterError(
                f"{show_path(root)}: {len(ids)} label ids, wanted 1..{UNKNOWN} besides {IGNORE}"
            )
        self._table = np.full(256, UNKNOWN, dtype=np.uint8)
        self._table[ids] = np.arange(len(ids))
        self._table[IGNORE] = IGNORE
        self._known = f"{ids[0]}..{ids[-1]} and {IGNORE}"
        self._max_side = max_side
        self.stems = tuple(self._pairs)
        self.class_names = tuple(str(own) for own in ids)
        size = "at their size" if max_side is None else f"at most {max_side} px"
        self.notes = (f"{len(self.stems)} images, {size}",)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.stems)

    def __getitem__(self, index: int) -> LabelledImage:
        """Return the image at `index`.

        Raises:
            PixelClusterError: a file is unreadable, an id unknown, or the sizes of image and label differ.
        """
        image_path, label_path = self._pairs[self.stems[index]]
        image, label = read_image(image_path), read_ids(label_path, self._table, self._known)
        same_size(image, label, label_path)
        item = LabelledImage(self.stems[index], image, label, label != IGNORE)
        return item if self._max_side is None else limit_item(item, self._max_side)

    def _ids(self) -> list[int]:
        """Return the ids that occur in the label files, without 255, ascending."""
        found: set[int] = set()
        for _, path in self._pairs.values():
            found |= set(np.unique(read_label_png(path)).tolist())
        return sorted(found - {IGNORE})
