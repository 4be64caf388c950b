"""Images with a class id a pixel: what the data sets of the per-pixel benchmarks have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelcluster.data.files import choose, images_by_stem, read_label_png
from pixelcluster.errors import PixelClusterError, show_path

IGNORE = 255
UNKNOWN = 254
"""In a table of `read_ids`: this id may not occur."""


@dataclass(frozen=True)
class LabelledImage:
    """One image of a benchmark as it is scored.

    Attributes:
        stem: names the image, and files made of it.
        image: (H, W, C) float32 in [0, 1]; RGB first, then what else the sensor saw; 0 where padded.
        label: (H, W) uint8 class ids, 255 where not scored.
        mask: (H, W) bool, True where a method may look and learn. A scored pixel is in the mask; one that is
            not scored may be (an unlabelled aerial tile) or may not (a benchmark's ignored pixels).
    """

    stem: str
    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    mask: NDArray[np.bool_]

    @property
    def rgb(self) -> NDArray[np.float32]:
        """The image without further channels, (H, W, 3)."""
        return np.ascontiguousarray(self.image[..., :3])


class LabelledSet(Protocol):
    """A data set that reads its images from disk on access."""

    @property
    def stems(self) -> tuple[str, ...]:
        """The images, in order."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """One a class id."""

    @property
    def notes(self) -> tuple[str, ...]:
        """One line each on what is there and what the published data set has more, for reports."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int) -> LabelledImage:
        """Return an image."""


def labels_by_stem(
    images: dict[str, Path], labels: dict[str, Path], wanted: Sequence[str] | None, root: Path
) -> dict[str, tuple[Path, Path]]:
    """Pair images and label files of the same stem.

    Args:
        images: files by stem.
        labels: files by stem.
        wanted: stems of an image list, or None for all images.
        root: for messages.

    Raises:
        PixelClusterError: no images, a wanted one is missing, or one has no label.
    """
    stems = choose(tuple(images), wanted, show_path(root))
    unlabelled = [stem for stem in stems if stem not in labels]
    if unlabelled:
        raise PixelClusterError(
            f"{show_path(root)}: {len(unlabelled)} of {len(stems)} images have no label PNG, "
            f"first {unlabelled[0]}; add the labels or give an image list without them"
        )
    return {stem: (images[stem], labels[stem]) for stem in stems}


def pngs_by_stem(folder: Path) -> dict[str, Path]:
    """Return the label PNGs directly in a folder by stem."""
    return {path.stem: path for path in sorted(folder.glob("*.png"))}


def flat_pairs(root: Path, wanted: Sequence[str] | None) -> dict[str, tuple[Path, Path]]:
    """Return the pairs of `images/` and `labels/`, see `labels_by_stem`."""
    for folder in (root / "images", root / "labels"):
        if not folder.is_dir():
            raise PixelClusterError(
                f"{show_path(folder)}: no such folder, wanted images/<stem>.jpg or .png and labels/<stem>.png"
            )
    return labels_by_stem(images_by_stem(root / "images"), pngs_by_stem(root / "labels"), wanted, root)


def read_ids(path: Path, table: NDArray[np.uint8], known: str) -> NDArray[np.uint8]:
    """Read a label PNG and translate its ids.

    Args:
        path: single-channel 8-bit PNG.
        table: (256,) uint8, the class of every id, 255 not scored, 254 an id that may not occur.
        known: the ids that may occur, for the message.

    Raises:
        PixelClusterError: unreadable, or with an id that may not occur.
    """
    ids = read_label_png(path)
    classes = table[ids]
    wrong = ids[classes == UNKNOWN]
    if wrong.size:
        raise PixelClusterError(f"{show_path(path)}: label id {wrong[0]} found, ids are {known}")
    return classes


def same_size(image: NDArray[np.generic], labels: NDArray[np.uint8], path: Path) -> None:
    """Refuse labels of another size than their image.

    Raises:
        PixelClusterError: both sizes and the label file.
    """
    if image.shape[:2] != labels.shape[:2]:
        raise PixelClusterError(
            f"{show_path(path)}: label is {labels.shape[1]} x {labels.shape[0]} px, its image "
            f"{image.shape[1]} x {image.shape[0]}; both must be equal"
        )


def limit_item(item: LabelledImage, max_side: int) -> LabelledImage:
    """Shrink an item so that its longest side is at most `max_side` pixels, see `resize_item`."""
    height, width = item.label.shape
    factor = max_side / max(height, width)
    if factor >= 1:
        return item
    return resize_item(item, max(1, round(height * factor)), max(1, round(width * factor)))


def resize_item(item: LabelledImage, height: int, width: int) -> LabelledImage:
    """Resize an item to `height` x `width` pixels: image by area, label and mask nearest."""
    size = (width, height)
    image = cv2.resize(item.image, size, interpolation=cv2.INTER_AREA)
    label = cv2.resize(item.label, size, interpolation=cv2.INTER_NEAREST)
    mask = cv2.resize(item.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return LabelledImage(
        item.stem, image.astype(np.float32, copy=False), label.astype(np.uint8, copy=False), mask > 0
    )
