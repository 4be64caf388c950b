"""What is downloaded: the files that `pixelcluster segment` and `export` write, as bytes."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.label_map import png_note
from pixelcluster.render.convert import convert
from pixelcluster.segmenting.segmentation import Segmentation

_LARGEST_VIEW, _LARGEST_SIDE = 1_000_000, 32_000  # pixels


def view_jpeg(image: NDArray[np.float32]) -> bytes:
    """Encode an image (H, W, 3) to look at, as large as the page draws it (`stage.js`) or JPEG allows."""
    buffer = io.BytesIO()
    picture = Image.fromarray((image * 255 + 0.5).astype(np.uint8))
    scale = min(1.0, math.sqrt(_LARGEST_VIEW / (picture.width * picture.height)))
    scale = min(scale, _LARGEST_SIDE / max(picture.size))
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    picture.save(buffer, "JPEG", quality=95, subsampling=0)
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
    result.overlay(opacity).save(buffer, "PNG", pnginfo=png_note("overlay of clusters"))
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
