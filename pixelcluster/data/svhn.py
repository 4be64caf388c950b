"""SVHN, cropped digits: train_32x32.mat and extra_32x32.mat to fit on, test_32x32.mat to score.

Source: Netzer, Wang, Coates, Bissacco, Wu, Ng, Reading digits in natural images with unsupervised feature
learning, 2011. torchvision's data set refuses every file but the original by its checksum and cannot join
two parts, so the files are read here, with scipy as there.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from pixelcluster.data.splits import Images, ImageSet, Labels
from pixelcluster.errors import PixelClusterError, show_path

CLASS_NAMES = tuple("0123456789")


def read_svhn(root: Path, *, extra: bool = True) -> ImageSet:
    """Return SVHN: (with `extra`) 604,388 training and 26,032 test digits of 32 x 32 px, RGB.

    Args:
        root: folder with the .mat files.
        extra: join the 531,131 extra images to the 73,257 training ones (1.9 GB in memory).

    Raises:
        PixelClusterError: a file is missing, damaged or has other contents.
    """
    names = ["train_32x32.mat", "extra_32x32.mat"] if extra else ["train_32x32.mat"]
    missing = [name for name in [*names, "test_32x32.mat"] if not (root / name).is_file()]
    if missing:
        way_out = "; without it the set is called svhn-train" if missing == ["extra_32x32.mat"] else ""
        raise PixelClusterError(
            f"{show_path(root)}: no {', '.join(missing)}; SVHN is cropped digits, format 2{way_out}"
        )
    parts = [read_digits(root / name) for name in names]
    test, test_labels = read_digits(root / "test_32x32.mat")
    return ImageSet(
        "svhn" if extra else "svhn-train",
        np.concatenate([images for images, _ in parts]),
        np.concatenate([labels for _, labels in parts]),
        test,
        test_labels,
        CLASS_NAMES,
    )


def read_digits(path: Path) -> tuple[Images, Labels]:
    """Read a file of cropped digits: X (32, 32, 3, N) uint8 and y (N, 1), where 10 stands for digit 0.

    Returns:
        Images (N, 32, 32, 3) uint8 and labels (N,) int64 in 0..9.

    Raises:
        PixelClusterError: unreadable, or X or y is missing or has another shape or type.
    """
    try:
        content = loadmat(path, variable_names=["X", "y"])
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError, zlib.error) as error:
        raise PixelClusterError(f"{show_path(path)}: cannot be read as a .mat file ({error})") from error
    images, labels = content.get("X"), content.get("y")
    if (
        images is None
        or labels is None
        or images.ndim != 4
        or images.shape[:3] != (32, 32, 3)
        or images.dtype != np.uint8
    ):
        known = {key: content[key] for key in ("X", "y") if key in content}
        found = ", ".join(f"{key} {own.shape} {own.dtype}" for key, own in known.items()) or "neither"
        raise PixelClusterError(
            f"{show_path(path)}: wanted X (32, 32, 3, N) uint8 and y (N, 1) of the cropped digits, "
            f"found {found}"
        )
    digits = labels.reshape(-1).astype(np.int64)
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), np.where(digits == 10, 0, digits)
