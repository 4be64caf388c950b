"""What a TIFF's header tells, without the library of rasters."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from pixelcluster.io.decode import MAX_PIXELS, check_regular_file

T = TypeVar("T")
_WIDTH, _LENGTH, _BITS, _SAMPLES = 256, 257, 258, 277
_GEO_TAGS = (33550, 33922, 34264, 34735, 42113)  # pixel scale, tie points, transform, keys, GDAL's nodata


def is_raster(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> bool:
    """Tell from the TIFF header alone whether a file wants the windowed reader.

    Args:
        path: any file.
        max_pixels: a TIFF of more pixels is a raster too.

    Returns:
        True for a TIFF that is georeferenced, states a nodata value, has more than 4 bands, or is too large
        to be read whole; False for everything else, also for what cannot be read.
    """

    def asked(directory: Any) -> bool:
        pixels = int(directory.get(_WIDTH, 0)) * int(directory.get(_LENGTH, 0))
        known = any(tag in directory for tag in _GEO_TAGS)
        return known or int(directory.get(_SAMPLES, 1)) > 4 or pixels > max_pixels

    return _of_directory(path, asked) or False


def samples_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return samples a pixel and bits a sample of a TIFF; None of anything else."""
    return _of_directory(path, lambda found: (int(found.get(_SAMPLES, 1)), int(found.get(_BITS, (1,))[0])))


def _of_directory(path: str | os.PathLike[str], asked: Callable[[Any], T]) -> T | None:
    """Return what is asked of a TIFF's first directory; None of what is damaged or no TIFF."""
    try:
        check_regular_file(Path(path))
        with open(path, "rb") as handle:
            header = handle.read(8)
            if header[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
                return None
            if 43 in (header[2], header[3]):  # BigTIFF
                header += handle.read(8)
            directory: Any = ImageFileDirectory_v2(header)
            handle.seek(directory.next)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                directory.load(handle)
                return asked(directory)
    except Exception:  # damaged in any way: the reader it goes to says how
        return None
