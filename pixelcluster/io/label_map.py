"""Label maps on disk: PNG, TIFF and NPZ, readable without this package.

===========  =====================================  ==========================================================
file         holds                                  how other readers get the ids
===========  =====================================  ==========================================================
PNG <= 256   indexed palette (1, 2, 4 or 8 bit)     Pillow: ``numpy.asarray(Image.open(path))``
                                                    scikit-image: ``imread(path) @ (1, 6, 36) % 256``
                                                    OpenCV: ``cv2.imread(path) @ (36, 6, 1) % 256``
PNG > 256    16-bit grey                            all three plainly (OpenCV with ``IMREAD_UNCHANGED``)
TIFF         grey uint8, uint16 or int32            all three plainly (OpenCV with ``IMREAD_UNCHANGED``)
NPZ          ``label_map`` int32, and where asked   ``numpy.load(path)["label_map"]``
             ``probabilities``, ``entropy``
===========  =====================================  ==========================================================

OpenCV and scikit-image always expand a palette into colours, so the colours carry the ids: each channel is
moved by at most 3 of 255 such that (R + 6 G + 36 B) mod 256 is the id.
"""

from __future__ import annotations

import os
import zipfile
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS, load_image

LabelFormat = Literal["png", "tif", "npz"]
ID_WEIGHTS = (1, 6, 36)

_SOFTWARE_TAG = 305
_FORMAT_OF_SUFFIX: dict[str, LabelFormat] = {".png": "png", ".tif": "tif", ".tiff": "tif", ".npz": "npz"}


def label_format(path: str | os.PathLike[str]) -> LabelFormat:
    """Tell the label-map format from a file name.

    Args:
        path: a name ending in .png, .tif, .tiff or .npz.

    Returns:
        "png", "tif" or "npz".

    Raises:
        PixelClusterError: any other suffix.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMAT_OF_SUFFIX:
        raise PixelClusterError(
            f"{show_path(path)}: label maps end in .png, .tif or .npz, got {suffix or 'no suffix'!r}"
        )
    return _FORMAT_OF_SUFFIX[suffix]


def encode_label_map(
    path: Path,
    label_map: NDArray[np.integer],
    palette: NDArray[np.uint8],
    file_format: LabelFormat,
    *,
    probabilities: NDArray[np.float32] | None = None,
    entropy: NDArray[np.float32] | None = None,
) -> None:
    """Write a label map to a path as it is (wrap in `atomic_write` for the final name).

    Args:
        path: where the bytes go; its suffix does not matter.
        label_map: (H, W) ids, 0 .. K-1.
        palette: (K, 3) uint8, embedded into an indexed PNG.
        file_format: "png", "tif" or "npz".
        probabilities: (K, H, W), kept by "npz" only.
        entropy: (H, W) nats, kept by "npz" only.

    Raises:
        PixelClusterError: more ids than a PNG can hold.
    """
    n_ids = max(int(label_map.max()) + 1, len(palette))
    if file_format == "npz":
        optional = {"probabilities": probabilities, "entropy": entropy}
        arrays: dict[str, Any] = {"label_map": label_map.astype(np.int32), "palette": palette}
        arrays |= {name: array for name, array in optional.items() if array is not None}
        with path.open("wb") as handle:  # a handle, because numpy would add a suffix to the name
            np.savez_compressed(handle, **arrays)
    elif file_format == "tif":
        dtype = np.uint8 if n_ids <= 2**8 else np.uint16 if n_ids <= 2**16 else np.int32
        image = Image.fromarray(label_map.astype(dtype))
        image.save(path, "TIFF", compression="tiff_adobe_deflate", tiffinfo={_SOFTWARE_TAG: "pixelcluster"})
    elif n_ids <= 256:
        image = Image.fromarray(label_map.astype(np.uint8)).convert("L")
        image.putpalette(palette_with_ids(palette[:256]).tobytes())  # turns L into P, indices untouched
        image.save(path, "PNG", pnginfo=png_note("cluster ids: palette index = (R + 6 G + 36 B) mod 256"))
    elif n_ids <= 2**16:
        note = png_note("cluster ids: grey value")
        Image.fromarray(label_map.astype(np.uint16)).save(path, "PNG", pnginfo=note)
    else:
        raise PixelClusterError(f"{n_ids} cluster ids do not fit a PNG (at most 65536); save as .tif or .npz")


def palette_with_ids(palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Move each colour by at most 3 levels a channel so that (R + 6 G + 36 B) mod 256 is its row.

    Args:
        palette: (K, 3) uint8, K <= 256.

    Returns:
        (K, 3) uint8; all rows differ, even where the given ones did not. Values within 3 of 0 or 255 first
        move inwards.
    """
    moves = np.array(sorted(product(range(-3, 4), repeat=3), key=lambda m: sum(v * v for v in m)))
    colours = palette.astype(int).clip(3, 252)[:, None] + moves  # (K, 343, 3)
    fits = (colours @ ID_WEIGHTS - np.arange(len(palette))[:, None]) % 256 == 0
    # 343 moves reach every remainder (weights 1, 6, 36 and digits -3 .. 3), so each row has a first fit.
    chosen: NDArray[np.uint8] = colours[np.arange(len(palette)), fits.argmax(1)].astype(np.uint8)
    return chosen


def png_note(description: str) -> PngInfo:
    """Text chunks that mark a PNG as ours and say how to read it."""
    info = PngInfo()
    info.add_text("Software", "pixelcluster")
    info.add_text("Description", description)
    return info


def read_label_map(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> NDArray[np.int32]:
    """Read ids from an indexed or grey PNG, a grey TIFF, or an NPZ with `label_map`.

    Args:
        path: the file; NPZ is told by its suffix, images by their content.
        max_pixels: largest accepted height x width.

    Returns:
        (H, W) int32, 0 or larger.

    Raises:
        PixelClusterError: unreadable, a colour picture, or negative ids.
    """
    if Path(path).suffix.lower() == ".npz":
        labels = _read_npz(path, max_pixels)
    else:
        image = load_image(path, max_pixels=max_pixels)
        if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
            raise PixelClusterError(
                f"{show_path(path)}: a {image.mode} picture, not a label map; wanted an indexed or grey PNG "
                "or TIFF, or NPZ"
            )
        labels = np.asarray(image).astype(np.int32)
    if labels.size and labels.min() < 0:
        raise PixelClusterError(f"{show_path(path)}: holds the negative id {labels.min()}; ids start at 0")
    return labels


def read_label_palette(path: str | os.PathLike[str]) -> NDArray[np.uint8] | None:
    """The colours that came with a label map.

    Args:
        path: a label map that `read_label_map` reads.

    Returns:
        (K, 3) uint8, or None where the format holds none.
    """
    if Path(path).suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return archive["palette"].astype(np.uint8) if "palette" in archive else None
    colours = load_image(path, max_pixels=2**62).getpalette("RGB")
    return None if colours is None else np.array(colours, dtype=np.uint8).reshape(-1, 3)


def _read_npz(path: str | os.PathLike[str], max_pixels: int) -> NDArray[np.int32]:
    name = show_path(path)
    try:
        with zipfile.ZipFile(path) as archive, archive.open("label_map.npy") as member:
            version = np.lib.format.read_magic(member)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read_header(member)
        # The header is enough to refuse: nothing was decompressed yet.
        if len(shape) != 2 or dtype.kind not in "iu" or not 0 < shape[0] * shape[1] <= max_pixels:
            raise PixelClusterError(
                f"{name}: label_map is {dtype} {shape}; wanted integers (H, W) of at most "
                f"{max_pixels / 1e6:g} megapixels"
            )
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays["label_map"], dtype=np.int32)
    except PixelClusterError:
        raise
    except KeyError:
        raise PixelClusterError(f"{name}: holds no array named label_map; save it under that name") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise PixelClusterError(
            f"{name}: cannot be read as NPZ ({reason}); save the label map again"
        ) from None
