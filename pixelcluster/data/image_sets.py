"""The image-level data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from pixelcluster.data.class_folders import read_class_folders
from pixelcluster.data.mnist import read_mnist
from pixelcluster.data.npz import find_npz, read_npz
from pixelcluster.data.splits import ImageSet
from pixelcluster.data.stl10 import read_stl10
from pixelcluster.data.svhn import read_svhn
from pixelcluster.errors import PixelClusterError, show_path

__all__ = ["NAMES", "ImageSet", "describe_image_set", "load_image_set"]

_DIGITS_TRAIN = 1437  # of 1,797: four fifths, in their order


def load_image_set(name: str, path: Path | str | None) -> ImageSet:
    """Return a data set read from disk; nothing is downloaded.

    Args:
        name: one of `NAMES`. "svhn" fits on train and extra, "svhn-train" on train alone; "stl10-unlabelled"
            fits on the unlabelled images too; "npz" is any npz file (see `npz.read_npz`), "class-folders" any
            images in train/CLASS/ and test/CLASS/; "digits" is the 8 x 8 set that comes with scikit-learn,
            its first 1,437 images to fit on, the last 360 to score.
        path: folder or file; None for "digits".

    Raises:
        PixelClusterError: an unknown name, no path, or files that are missing or wrong, named.
    """
    if name == "digits":
        return _digits()
    if name not in _READERS:
        raise PixelClusterError(f"unknown image set {name!r}; wanted one of {', '.join(NAMES)}")
    if path is None:
        raise PixelClusterError(f"{name} is read from disk, no path given; name its folder")
    if not Path(path).exists():
        raise PixelClusterError(f"{show_path(path)}: no such file or folder; {name} is read from there")
    return _READERS[name](Path(path))


def describe_image_set(data: ImageSet) -> list[str]:
    """Return what a check says of a data set, line by line."""
    height, width, channels = data.train.shape[1:]
    lines = [
        f"{len(data.train):,} images to fit on, {len(data.test):,} to score, {width} x {height} px, "
        f"{channels} channel{'s' * (channels > 1)}"
    ]
    for part, labels in (("train", data.train_labels), ("test", data.test_labels)):
        if labels is None:
            lines.append(f"{part}: no labels")
            continue
        shares = np.bincount(labels, minlength=len(data.class_names)) / len(labels)
        own = zip(data.class_names, shares, strict=True)
        lines.append(f"{part}: " + ", ".join(f"{name} {share:.1%}" for name, share in own))
    return lines


def _digits() -> ImageSet:
    """Return scikit-learn's digits, 0..16 scaled to 0..255."""
    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    cut = slice(None, _DIGITS_TRAIN), slice(_DIGITS_TRAIN, None)
    return ImageSet(
        "digits", images[cut[0]], labels[cut[0]], images[cut[1]], labels[cut[1]], tuple("0123456789")
    )


def _npz(path: Path) -> ImageSet:
    """Return the image set of an npz file or of a folder with one."""
    archive = find_npz(path)
    if archive is None:
        raise PixelClusterError(f"{show_path(path)}: not one npz file in this folder; name the file")
    return read_npz(archive)


_READERS: dict[str, Callable[[Path], ImageSet]] = {
    "mnist": read_mnist,
    "svhn": read_svhn,
    "svhn-train": partial(read_svhn, extra=False),
    "stl10": read_stl10,
    "stl10-unlabelled": partial(read_stl10, unlabelled=True),
    "npz": _npz,
    "class-folders": read_class_folders,
}
NAMES = (*_READERS, "digits")
