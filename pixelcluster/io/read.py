"""Anything that holds a picture -> (H, W, 3) float32 in [0, 1]."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pixelcluster.errors import PixelClusterError, PixelClusterWarning, caller_level, counted, show_path
from pixelcluster.io.decode import MAX_PIXELS, is_own, load_image, open_header, upright
from pixelcluster.io.tiff_header import is_raster, samples_of

if TYPE_CHECKING:
    import torch

# A union of names, because torch is only imported by the type checker.
ImageLike: TypeAlias = Union[str, Path, bytes, Image.Image, "NDArray[np.generic]", "torch.Tensor"]

SUFFIXES = frozenset(
    f".{name}"
    for name in "png apng jpg jpeg jpe jfif tif tiff webp bmp dib gif ppm pgm pbm pnm".split()  # noqa: SIM905
)
_SENSOR_BITS = (8, 12, 14)  # 10 bits count as 12: steps of 2 would tear series of one camera apart
_EIGHT_BIT_MODES = frozenset("1 L La LA P PA RGB RGBX RGBa RGBA CMYK YCbCr HSV".split())  # noqa: SIM905
_OWN_STEM = re.compile(r".*_(labels|overlay|entropy|colour|ids|cluster\d+(-.*)?)|samples", re.DOTALL)


def read_image(source: ImageLike, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.float32]:
    """Read a picture as sRGB values in [0, 1].

    Grey becomes three equal channels; transparency is laid over white, with a `PixelClusterWarning` where
    there is any; CMYK and palettes are converted; 16-bit grey keeps its 16 bits. Where its values end below
    2^8, 2^12 or 2^14, as those of cameras and microscopes of 12 or 14 bits do, that is white, with a
    `PixelClusterWarning`. Pillow decodes 16-bit *colour* files to their upper 8 bits: pass such an image as a
    uint16 array to keep all of it. EXIF orientation is applied, embedded colour profiles are not.

    Args:
        source: a path; the bytes of a file; a PIL image; a numpy array (H, W) or (H, W, 1|3|4) of bool,
            uint8, uint16 or float in [0, 1]; a torch tensor (H, W) or (1|3|4, H, W) of the same types.
        max_pixels: largest accepted height x width of a file or PIL image, compared before decoding.

    Returns:
        (H, W, 3) float32 in [0, 1], C-contiguous.

    Raises:
        PixelClusterError: the source is missing, damaged, animated, too large, or its values have no agreed
            white.
    """
    if isinstance(source, (str, os.PathLike)):
        name = show_path(source)
        try:
            return _from_pil(load_image(source, max_pixels=max_pixels), name)
        except PixelClusterError as error:
            if is_raster(source, max_pixels=sys.maxsize):
                raise PixelClusterError(
                    f"{name}: is a raster, not a picture; segment it with: pixelcluster segment FILE (models "
                    "are trained on RGB tiles of it)"
                ) from None
            unknown = isinstance(error.__context__, UnidentifiedImageError)
            found = samples_of(source) if unknown else None
            if found is not None and (found[0] not in (1, 3, 4) or found[1] not in (8, 16)):
                raise PixelClusterError(
                    f"{name}: a TIFF of {counted(found[0], 'sample')} a pixel, {counted(found[1], 'bit')} "
                    "each; wanted 1, 3 or 4 samples of 8 or 16 bits: save those wanted on their own"
                ) from None
            raise
    if isinstance(source, bytes):
        return _from_pil(load_image(source, max_pixels=max_pixels), "image")
    if isinstance(source, Image.Image):
        return _from_pil(upright(source, "image", max_pixels), "image")
    if isinstance(source, np.ndarray):
        return _from_array(source, "array")
    torch = sys.modules.get("torch")  # a tensor can only exist once torch has been imported
    if torch is not None and isinstance(source, torch.Tensor):
        return _from_tensor(source)
    raise PixelClusterError(
        f"got {type(source).__name__}; an image is a path, a PIL image, a numpy array (H, W[, C]) "
        "or a torch tensor ([C,] H, W); where there are several, call this for each"
    )


def list_images(inputs: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Expand files and folders into image paths.

    Args:
        inputs: files, taken as they are (also missing ones: reading them says what is wrong), and folders,
            searched recursively in sorted order for the suffixes in `SUFFIXES`. Hidden files and folders are
            skipped, and so are pictures this program wrote itself (recognised by name and by the mark inside
            the file).

    Returns:
        Paths without repetition, in the order of the inputs.

    Raises:
        PixelClusterError: a folder cannot be read or holds no image.
    """
    found: dict[str, Path] = {}
    for item in inputs:
        path = Path(item)
        for file in _images_below(path) if os.path.isdir(path) else [path]:
            found.setdefault(os.path.realpath(file), file)
    return list(found.values())


def files_below(folder: Path) -> list[Path]:
    """Return the files of a folder and of those in it, sorted, without hidden ones.

    Raises:
        PixelClusterError: a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        name = show_path(error.filename or folder)
        raise PixelClusterError(f"{name}: folder cannot be read ({error.strerror}); check its permissions")

    files: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(root, name) for name in sorted(names) if not name.startswith(".")]
    return files


def _images_below(folder: Path) -> list[Path]:
    files = [p for p in files_below(folder) if p.suffix.lower() in SUFFIXES and not _is_own_output(p)]
    if not files:
        raise PixelClusterError(
            f"{show_path(folder)}: no image in this folder; PNG, JPEG, TIFF, WebP, BMP, GIF and PPM are read"
        )
    return files


def _is_own_output(path: Path) -> bool:
    if not _OWN_STEM.fullmatch(path.stem):
        return False
    try:
        with open_header(path) as image:
            return is_own(image)
    except PixelClusterError:  # whatever is wrong with it will be said when it is read
        return False


def _from_pil(image: Image.Image, name: str) -> NDArray[np.float32]:
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):  # the latter: 16 in 32
        return _from_16_bit_grey(image, name)
    if mode == "F":
        return _from_array(np.asarray(image), name)
    if mode not in _EIGHT_BIT_MODES:
        wide = " (32-bit integers have no agreed white level)" if mode == "I" else ""
        raise PixelClusterError(
            f"{name}: colour mode {mode} is not supported{wide}; save it as 8-bit RGB or 16-bit grey"
        )
    if mode == "La":
        image = image.convert("LA")  # the only way out of it that Pillow has
    if image.has_transparency_data:
        return _from_array(np.asarray(image.convert("RGBA")), name)
    return _rgb(_scaled(np.asarray(image.convert("L" if mode in ("1", "L") else "RGB")), 255))


def _from_16_bit_grey(image: Image.Image, name: str) -> NDArray[np.float32]:
    """Scale 16-bit grey; the value that stands for transparency becomes white and has no say in the scale."""
    # Arrays of the big-endian variants come in their own byte order; astype makes them native.
    values, key = np.asarray(image), image.info.get("transparency")
    if not isinstance(key, int) or not (hidden := values == key).any():
        return _rgb(_scaled_16_bit(values, name))
    _warn_of_transparency(name)
    grey = _scaled_16_bit(np.where(hidden, 0, values), name)
    grey[hidden] = 1
    return _rgb(grey)


def _from_tensor(tensor: torch.Tensor) -> NDArray[np.float32]:
    if tensor.ndim not in (2, 3) or (tensor.ndim == 3 and tensor.shape[0] not in (1, 3, 4)):
        raise PixelClusterError(
            f"got a tensor of shape {tuple(tensor.shape)}; wanted (H, W) or (1|3|4, H, W): "
            "pass one image of a batch, channels first (permute(2, 0, 1))"
        )
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # numpy has no bfloat16
    array = tensor.numpy()
    return _from_array(array if array.ndim == 2 else array.transpose(1, 2, 0), "tensor")


def _from_array(array: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or array.size == 0:
        raise PixelClusterError(
            f"{name}: got shape {array.shape}; wanted (H, W) or (H, W, 1|3|4), at least 1 x 1: pass one "
            "image, "
            "channels last"
        )
    values = _unit_range(array, name)
    if values.ndim == 3 and values.shape[2] == 4:
        alpha = values[..., 3:]
        if alpha.min() < 1:
            _warn_of_transparency(name)
        values = values[..., :3] * alpha + (1 - alpha)  # over white
    return _rgb(values)


def _warn_of_transparency(name: str) -> None:
    warnings.warn(
        f"{name}: transparent pixels are laid over white and count as white; where that is wrong, lay the "
        "image over another colour",
        PixelClusterWarning,
        stacklevel=caller_level(),
    )


def _unit_range(array: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if array.dtype == np.uint8:
        return _scaled(array, 255)
    if array.dtype == np.uint16:
        return _scaled_16_bit(array, name)
    if array.dtype.kind != "f":
        raise PixelClusterError(
            f"{name}: got dtype {array.dtype}, whose white level is unknown; convert to uint8, uint16 or "
            "float in [0, 1]"
        )
    values = array.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low + high):
        raise PixelClusterError(
            f"{name}: holds NaN or infinite values; replace them (numpy.nan_to_num) first"
        )
    if low < -1e-5 or high > 1 + 1e-5:  # leaves room for rounding, not for another scale
        raise PixelClusterError(
            f"{name}: float values span [{low:g}, {high:g}]; wanted [0, 1]: rescale them first"
        )
    return values.clip(0, 1)


def _scaled_16_bit(array: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    """Divide by white: 65535, or less where sensors of fewer bits have plainly left the upper ones empty."""
    top = int(np.max(array))
    bits = next((depth for depth in _SENSOR_BITS if 0 < top < 2**depth), 16)
    white = 2**bits - 1
    if bits < 16:
        warnings.warn(
            f"{name}: its 16-bit values reach {top} of 65535, so {white} ({bits} bits) is taken for white; "
            "for another white, scale the values to 65535",
            PixelClusterWarning,
            stacklevel=caller_level(),
        )
    return _scaled(array, white)


def _scaled(array: NDArray[np.generic], white: int) -> NDArray[np.float32]:
    values = array.astype(np.float32)
    values /= white  # in place: a picture of 100 megapixels is 1.2 GB
    return values


def _rgb(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if values.ndim == 2:
        values = values[..., None]
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    return np.ascontiguousarray(values)
