"""MNIST: the four IDX files, plain or gzip, or one npz file.

Source: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition, 1998.
torchvision's IDX reader takes no gzip and ends in an AssertionError on a damaged file, so the format is read
here; the tests compare with it.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelcluster.data.npz import find_npz, read_npz
from pixelcluster.data.splits import ImageSet, as_channels_last
from pixelcluster.errors import PixelClusterError, show_path

CLASS_NAMES = tuple("0123456789")
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
FOLDERS = (".", "raw", "MNIST/raw")
_UNSIGNED_BYTES = 8


def read_mnist(root: Path) -> ImageSet:
    """Return MNIST: 60,000 training and 10,000 test digits of 28 x 28 px, one channel.

    Args:
        root: a folder with the IDX files (also under raw/ or MNIST/raw/, with or without .gz), or with one
            npz file, or the npz file itself.

    Raises:
        PixelClusterError: a file is missing or damaged.
    """
    archive = find_npz(root)
    if archive is not None:
        return read_npz(archive, name="mnist", class_names=CLASS_NAMES)
    train, train_labels, test, test_labels = (read_idx(_find(root, name)) for name in FILES)
    return ImageSet(
        "mnist",
        as_channels_last(train, FILES[0]),
        train_labels.astype(np.int64),
        as_channels_last(test, FILES[2]),
        test_labels.astype(np.int64),
        CLASS_NAMES,
    )


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain or gzip.

    Format: two zero bytes, 8 for unsigned bytes, the number of dimensions, their sizes as big-endian 32-bit
    integers, the values.

    Raises:
        PixelClusterError: unreadable, not IDX, not unsigned bytes, or another length than announced.
    """
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise PixelClusterError(f"{show_path(path)}: cannot be read ({error}); fetch it again") from error
    if len(raw) < 4 or raw[:3] != bytes([0, 0, _UNSIGNED_BYTES]) or len(raw) < 4 + 4 * raw[3]:
        raise PixelClusterError(f"{show_path(path)}: not an IDX file of unsigned bytes; fetch it again")
    start = 4 + 4 * raw[3]
    shape = tuple(int(side) for side in np.frombuffer(raw, ">u4", raw[3], 4))
    if len(raw) - start != math.prod(shape):
        raise PixelClusterError(
            f"{show_path(path)}: {len(raw) - start} values, its header says {math.prod(shape)}; "
            "fetch it again"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _find(root: Path, name: str) -> Path:
    """Return the file under one of the spellings in use."""
    for folder in FOLDERS:
        for spelling in (name, name.replace("-idx", ".idx")):
            for path in (root / folder / spelling, root / folder / f"{spelling}.gz"):
                if path.is_file():
                    return path
    raise PixelClusterError(
        f"{show_path(root)}: no {name}[.gz] (looked in {', '.join(FOLDERS)}) and no npz file; "
        f"MNIST is {', '.join(FILES)}"
    )
