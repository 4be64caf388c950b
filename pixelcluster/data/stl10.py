"""STL-10 in its binary files: train_X.bin and, if asked for, unlabeled_X.bin to fit on, test_X.bin to score.

Source: Coates, Lee, Ng, An analysis of single layer networks in unsupervised feature learning, AISTATS 2011.
torchvision's data set refuses every file but the original by its checksum, so the format is read here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelcluster.data.splits import Images, ImageSet, Labels
from pixelcluster.errors import PixelClusterError, show_path

CLASS_NAMES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
SIDE = 96


def read_stl10(root: Path, *, unlabelled: bool = False) -> ImageSet:
    """Return STL-10: 5,000 training and 8,000 test images of 96 x 96 px, RGB.

    Args:
        root: folder with the .bin files, also under stl10_binary/.
        unlabelled: fit also on the 100,000 unlabelled images (2.9 GB in memory), which hold other classes
            too; the training part then has no labels.

    Raises:
        PixelClusterError: a file is missing or has another length.
    """
    folder = root / "stl10_binary" if (root / "stl10_binary").is_dir() else root
    names = ["train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"]
    names += ["unlabeled_X.bin"] if unlabelled else []
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise PixelClusterError(f"{show_path(folder)}: no {', '.join(missing)}; STL-10 is {', '.join(names)}")
    train = read_images(folder / "train_X.bin")
    labels: Labels | None = read_labels(folder / "train_y.bin")
    if unlabelled:
        train, labels = np.concatenate([train, read_images(folder / "unlabeled_X.bin")]), None
    return ImageSet(
        "stl10-unlabelled" if unlabelled else "stl10",
        train,
        labels,
        read_images(folder / "test_X.bin"),
        read_labels(folder / "test_y.bin"),
        CLASS_NAMES,
    )


def read_images(path: Path) -> Images:
    """Read a file of images, one byte a value: image, channel, column, row; returns (N, 96, 96, 3) uint8.

    Raises:
        PixelClusterError: unreadable, or not a whole number of images.
    """
    values = _bytes(path)
    if not values.size or values.size % (3 * SIDE * SIDE):
        raise PixelClusterError(
            f"{show_path(path)}: {values.size} bytes are not a whole number of {SIDE} x {SIDE} RGB images; "
            "fetch it again"
        )
    return np.ascontiguousarray(values.reshape(-1, 3, SIDE, SIDE).transpose(0, 3, 2, 1))


def read_labels(path: Path) -> Labels:
    """Read a file of labels 1..10, one byte each; returns (N,) int64 in 0..9."""
    return _bytes(path).astype(np.int64) - 1


def _bytes(path: Path) -> NDArray[np.uint8]:
    try:
        return np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise PixelClusterError(f"{show_path(path)}: cannot be read ({error})") from error
