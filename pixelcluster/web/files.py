"""What is downloaded: the files that `pixelcluster segment` and `export` write, as bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.render.convert import convert
from pixelcluster.segmenting.segmentation import Segmentation


def view_jpeg(image: NDArray[np.float32]) -> bytes:
    """Encode an image (H, W, 3) to look at, not to keep."""
    buffer = io.BytesIO()
    levels = (image * 255 + 0.5).astype(np.uint8)
    Image.fromarray(levels).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def label_bytes(result: Segmentation) -> bytes:
    """Return the ids in reading order, one byte each (a page has at most 256 clusters)."""
    return result.label_map.astype(np.uint8).tobytes()


def _saved(suffix: str) -> Callable[[Segmentation, float], bytes]:
    def write(result: Segmentation, opacity: float) -> bytes:
        with TemporaryDirectory() as folder:
            path = Path(folder, f"labels{suffix}")
            result.save(path)
            return path.read_bytes()

    return write


def _overlay(result: Segmentation, opacity: float) -> bytes:
    buffer = io.BytesIO()
    result.overlay(opacity).save(buffer, "PNG")
    return buffer.getvalue()


def _masks(result: Segmentation, opacity: float) -> bytes:
    buffer = io.BytesIO()
    with TemporaryDirectory() as folder:
        path = Path(folder, "mask.png")
        result.save(path)
        written, failed = convert([path], Path(folder, "masks"), "masks", max_pixels=result.label_map.size)
        if failed:
            raise PixelClusterError(failed[0])
        with zipfile.ZipFile(buffer, "w") as archive:
            for file in written:
                archive.write(file, file.name)
    return buffer.getvalue()


FILES: dict[str, tuple[str, Callable[[Segmentation, float], bytes]]] = {
    "labels.png": ("image/png", _saved(".png")),
    "labels.npz": ("application/octet-stream", _saved(".npz")),
    "overlay.png": ("image/png", _overlay),
    "masks.zip": ("application/zip", _masks),
}
"""Name -> media type and what makes it, given the opacity of the overlay."""
