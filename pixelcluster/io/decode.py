"""The one place where files of unknown origin are opened as images."""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from pixelcluster.errors import PixelClusterError, show_path

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "PPM")
MAX_PIXELS = 100_000_000
_ANY_SIZE = 2**62
_SOFTWARE_TAG = 305

_pillow_cap_lock = threading.Lock()


def load_image(source: str | os.PathLike[str] | bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open and decode one still image, EXIF orientation applied.

    Only the formats in `FORMATS` are tried, whatever the suffix says, and nothing is decoded before the size
    in the header has been compared with the cap.

    Args:
        source: an existing regular file, or the bytes of one.
        max_pixels: largest accepted height x width.

    Returns:
        The decoded image in the mode of the file.

    Raises:
        PixelClusterError: missing, unreadable, empty, not an image, truncated, animated, or too large.
    """
    path: str | os.PathLike[str] | io.BytesIO
    if isinstance(source, bytes):
        name, path = "image", io.BytesIO(source)
        if not source:
            raise PixelClusterError(f"{name}: the file is empty (0 bytes); copy or export it again")
    else:
        name, path = show_path(source), source
        check_regular_file(Path(source))
    with _explained(name, max_pixels), _pillow_cap(max_pixels), Image.open(path, formats=FORMATS) as opened:
        image: Image.Image = opened
        check_still_and_size(image, name, max_pixels)
        if image.width * image.height <= (Image.MAX_IMAGE_PIXELS or 0):
            # The size in the header is fine: what is larger inside (a frame) is an attack.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)  # keeps image.format, which a copy loses
        return image


@contextmanager
def open_header(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Open an image file to look at its header alone, so of any size and any number of frames.

    Raises:
        PixelClusterError: missing, unreadable, empty, or not an image.
    """
    check_regular_file(Path(path))
    with _explained(show_path(path), _ANY_SIZE):
        with _pillow_cap(_ANY_SIZE):
            opened = Image.open(path, formats=FORMATS)
        with opened:
            yield opened


def is_own(image: Image.Image) -> bool:
    """Whether an opened PNG or TIFF bears the mark of this program."""
    return "pixelcluster" in (image.info.get("Software"), getattr(image, "tag_v2", {}).get(_SOFTWARE_TAG))


def upright(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    """Check an image that Pillow has opened and apply its EXIF orientation.

    Args:
        image: kept as it is.
        name: how the image is called in messages.
        max_pixels: largest accepted height x width.

    Returns:
        A decoded copy.

    Raises:
        PixelClusterError: as of `load_image`.
    """
    with _explained(name, max_pixels):
        check_still_and_size(image, name, max_pixels)
        copy = ImageOps.exif_transpose(image)
        copy.format = image.format  # tells 16 bits that Pillow holds in 32
        return copy


@contextmanager
def _explained(name: str, max_pixels: int) -> Iterator[None]:
    """Turn whatever Pillow raises into one line, and keep its warnings still."""
    with warnings.catch_warnings():
        # Pillow warns of odd metadata, and of sizes below our own cap: neither matters to the pixels.
        warnings.simplefilter("ignore")
        try:
            yield
        except PixelClusterError:
            raise
        except UnidentifiedImageError:
            raise PixelClusterError(
                f"{name}: not an image this program reads; convert it to PNG, JPEG, TIFF, WebP, BMP, GIF or "
                "PPM"
            ) from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise PixelClusterError(
                f"{name}: larger than the cap of {max_pixels / 1e6:g} megapixels; "
                "raise the cap (--max-pixels, max_pixels=) or shrink the image"
            ) from None
        except PermissionError:
            raise PixelClusterError(f"{name}: permission denied; make the file readable (chmod +r)") from None
        except MemoryError:
            raise
        except Exception as error:  # Pillow's plugins raise a dozen unrelated types on damaged files
            raise PixelClusterError(
                f"{name}: damaged or truncated image ({_one_line(error)}); copy or export the file again"
            ) from None


def check_still_and_size(image: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse more than one frame or too many pixels, from the header alone.

    Args:
        image: an opened, not necessarily decoded, Pillow image.
        name: how the image is called in messages.
        max_pixels: largest accepted height x width.

    Raises:
        PixelClusterError: with the frame count, or the size and the cap.
    """
    check_size(*image.size, name, max_pixels)
    # An MPO is a JPEG photo with extra views (a thumbnail, the other eye): its first frame is the picture.
    frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    if frames > 1:
        raise PixelClusterError(
            f"{name}: {frames} frames or pages, but one still image is needed; "
            "save the wanted frame on its own (Pillow: image.seek(i); image.copy())"
        )


def check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    """Refuse an empty picture, or one of too many pixels; arguments as of `check_still_and_size`.

    Raises:
        PixelClusterError: with the size and the cap.
    """
    if width < 1 or height < 1:
        raise PixelClusterError(f"{name}: the image is {width} x {height} pixels; at least 1 x 1 is needed")
    if width * height > max_pixels:
        raise PixelClusterError(
            f"{name}: {width} x {height} pixels = {width * height / 1e6:.1f} megapixels, over the cap of "
            f"{max_pixels / 1e6:g}; raise the cap (--max-pixels, max_pixels=) or shrink the image"
        )


def check_regular_file(path: Path) -> None:
    """Refuse what is missing, a folder, a device, a pipe or empty, before anything opens it.

    Raises:
        PixelClusterError: saying which of these it is.
    """
    if file_size(path) == 0:
        raise PixelClusterError(f"{show_path(path)}: the file is empty (0 bytes); copy or export it again")


def file_size(path: Path) -> int:
    """Return the bytes of a regular file, which may be none; else as `check_regular_file`."""
    name = show_path(path)
    try:
        status = path.stat()
    except FileNotFoundError:
        raise PixelClusterError(f"{name}: no such file; check the path") from None
    except PermissionError:
        raise PixelClusterError(f"{name}: permission denied; make its folder readable (chmod +rx)") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise PixelClusterError(f"{name}: cannot be opened ({_one_line(error)}); check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise PixelClusterError(f"{name}: is a folder, but one file is needed; name a file inside it")
    if not stat.S_ISREG(status.st_mode):
        raise PixelClusterError(f"{name}: is not a regular file; save it to disk first")
    return status.st_size


@contextmanager
def _pillow_cap(max_pixels: int) -> Iterator[None]:
    """Lift Pillow's process-wide cap (twice MAX_IMAGE_PIXELS) only where the caller allows more."""
    if Image.MAX_IMAGE_PIXELS is None or max_pixels <= 2 * Image.MAX_IMAGE_PIXELS:
        yield
        return
    with _pillow_cap_lock:
        saved, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = saved


def _one_line(error: BaseException) -> str:
    text = (error.strerror or "") if isinstance(error, OSError) else ""
    return " ".join((text or str(error) or type(error).__name__).split())
