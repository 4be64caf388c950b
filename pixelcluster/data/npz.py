"""An image set in one npz file: x_train, y_train, x_test, y_test, or train_images, train_labels, ...."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelcluster.data.splits import ImageSet, Labels, as_channels_last
from pixelcluster.errors import PixelClusterError, show_path

KEYS = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)


def find_npz(root: Path) -> Path | None:
    """Return `root` where it is an npz file, the only npz file directly in it, or None."""
    if root.suffix == ".npz":
        return root
    found = sorted(root.glob("*.npz"))
    return found[0] if len(found) == 1 else None


def read_npz(path: Path, name: str = "npz", class_names: tuple[str, ...] | None = None) -> ImageSet:
    """Return the image set of an npz file.

    Args:
        path: holds images uint8 (N, H, W[, C]) and integer labels, a training and a test part; the labels
            may be missing.
        name: of the set.
        class_names: 0, 1, ... up to the largest label where not given.

    Raises:
        PixelClusterError: missing, damaged, or without these arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for keys in KEYS for key in keys if key in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise PixelClusterError(f"{show_path(path)}: cannot be read as npz ({error})") from error
    keys = next((keys for keys in KEYS if keys[0] in arrays and keys[2] in arrays), None)
    if keys is None:
        raise PixelClusterError(
            f"{show_path(path)}: no training and test images; wanted the arrays {', '.join(KEYS[0])} "
            f"or {', '.join(KEYS[1])}"
        )
    train, test = (as_channels_last(arrays[key], f"{show_path(path)}, {key}") for key in keys[::2])
    train_labels, test_labels = (_labels(arrays.get(key), f"{show_path(path)}, {key}") for key in keys[1::2])
    if class_names is None:
        known = [int(labels.max()) for labels in (train_labels, test_labels) if labels is not None]
        class_names = tuple(str(index) for index in range(1 + max(known, default=-1)))
    return ImageSet(name, train, train_labels, test, test_labels, class_names)


def _labels(values: NDArray[np.generic] | None, what: str) -> Labels | None:
    """Return labels as (N,) int64."""
    if values is None:
        return None
    if values.dtype.kind not in "iu":
        raise PixelClusterError(f"{what}: labels are {values.dtype}, wanted integers")
    if not values.size:
        raise PixelClusterError(f"{what}: no labels, wanted one an image; leave the array out where none is")
    return values.reshape(-1).astype(np.int64)
