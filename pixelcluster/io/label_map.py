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

import json
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS, check_regular_file, load_image

LabelFormat = Literal["png", "tif", "npz"]
ID_WEIGHTS = (1, 6, 36)

_LONGEST_NAME, _MOST_NAMES = 60, 65_536
_SOFTWARE_TAG, _DESCRIPTION_TAG, _NODATA_TAG = 305, 270, 42113
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
    names: Sequence[str] = (),
) -> None:
    """Write a label map to a path as it is (wrap in `atomic_write` for the final name).

    Args:
        path: where the bytes go; its suffix does not matter.
        label_map: (H, W) ids, 0 .. K-1.
        palette: (K, 3) uint8, embedded into an indexed PNG.
        file_format: "png", "tif" or "npz".
        probabilities: (K, H, W), kept by "npz" only.
        entropy: (H, W) nats, kept by "npz" only.
        names: of the K clusters, where they have any; `read_label_file` gives them back.

    Raises:
        PixelClusterError: more ids than a PNG can hold.
    """
    n_ids = max(int(label_map.max()) + 1, len(palette))
    if file_format == "npz":
        optional = {"probabilities": probabilities, "entropy": entropy}
        arrays: dict[str, Any] = {"label_map": label_map.astype(np.int32), "palette": palette}
        if names:
            arrays["names"] = np.array(names, dtype=np.str_)
        arrays |= {name: array for name, array in optional.items() if array is not None}
        with path.open("wb") as handle:  # a handle, because numpy would add a suffix to the name
            np.savez_compressed(handle, **arrays)
    elif file_format == "tif":
        dtype = np.uint8 if n_ids <= 2**8 else np.uint16 if n_ids <= 2**16 else np.int32
        image = Image.fromarray(label_map.astype(dtype))
        tags = {_SOFTWARE_TAG: "pixelcluster"} | (
            {_DESCRIPTION_TAG: json.dumps(list(names))} if names else {}
        )
        image.save(path, "TIFF", compression="tiff_adobe_deflate", tiffinfo=tags)
    elif n_ids <= 256:
        image = Image.fromarray(label_map.astype(np.uint8)).convert("L")
        image.putpalette(palette_with_ids(palette[:256]).tobytes())  # turns L into P, indices untouched
        note = png_note("cluster ids: palette index = (R + 6 G + 36 B) mod 256", names)
        image.save(path, "PNG", pnginfo=note)
    elif n_ids <= 2**16:
        note = png_note("cluster ids: grey value", names)
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


def png_note(description: str, names: Sequence[str] = ()) -> PngInfo:
    """Text chunks that mark a PNG as ours, say how to read it and, where there are any, name the clusters."""
    info = PngInfo()
    if names:
        info.add_text("Classes", json.dumps(list(names)))
    info.add_text("Software", "pixelcluster")
    info.add_text("Description", description)
    return info


class LabelFile(NamedTuple):
    """All that a file of labels holds."""

    ids: NDArray[np.int32]
    """(H, W), 0 or larger."""
    palette: NDArray[np.uint8] | None
    """(K, 3), where the format holds colours."""
    names: tuple[str, ...]
    """One a cluster, "" for one without; () where the file holds none. Printable, as those of a model are."""
    nodata: int | None
    """The id a label raster has where there is no data."""


def read_label_file(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> LabelFile:
    """Read an indexed or grey PNG, a grey TIFF, or an NPZ with `label_map`, opening it once.

    Args:
        path: the file; NPZ is told by its suffix, images by their content.
        max_pixels: largest accepted height x width.

    Returns:
        Ids, colours, names and nodata id.

    Raises:
        PixelClusterError: unreadable, a colour picture, or negative ids.
    """
    if Path(path).suffix.lower() == ".npz":
        read = _read_npz(path, max_pixels)
    else:
        image = load_image(path, max_pixels=max_pixels)
        if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
            raise PixelClusterError(
                f"{show_path(path)}: a {image.mode} picture, not a label map; wanted an indexed or grey PNG "
                "or TIFF, or NPZ"
            )
        colours = image.getpalette("RGB")
        palette = None if colours is None else np.array(colours, dtype=np.uint8).reshape(-1, 3)
        tags = getattr(image, "tag_v2", {})
        names = _json_names(image.info.get("Classes") or tags.get(_DESCRIPTION_TAG, ""))
        nodata = _nodata_id(str(tags.get(_NODATA_TAG, "")))
        read = LabelFile(np.asarray(image).astype(np.int32), palette, names, nodata)
    if read.ids.size and read.ids.min() < 0:
        raise PixelClusterError(f"{show_path(path)}: holds the negative id {read.ids.min()}; ids start at 0")
    return read


def read_label_map(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> NDArray[np.int32]:
    """Read the ids alone, (H, W) int32, 0 or larger; see `read_label_file`."""
    return read_label_file(path, max_pixels=max_pixels).ids


def _json_names(text: object) -> tuple[str, ...]:
    try:
        names = json.loads(text)  # type: ignore[arg-type]  # a tag may hold anything
    except (ValueError, TypeError, RecursionError):
        return ()
    return _printable(names) if isinstance(names, list) else ()


def _printable(names: Sequence[object]) -> tuple[str, ...]:
    """Make names of a file fit for a terminal: no control characters, no longer than a model allows."""
    found = (name[:_LONGEST_NAME] if isinstance(name, str) else "" for name in names[:_MOST_NAMES])
    return tuple(show_path(name)[:_LONGEST_NAME] for name in found)


def _nodata_id(text: str) -> int | None:
    digits = text.strip("\0 ")
    found = int(digits) if re.fullmatch("[0-9]{1,10}", digits) else -1
    return found if 0 <= found <= np.iinfo(np.int32).max else None


def _read_npz(path: str | os.PathLike[str], max_pixels: int) -> LabelFile:
    wanted = f"integers (H, W) of at most {max_pixels / 1e6:g} megapixels"
    labels = read_member(
        path,
        "label_map",
        wanted,
        lambda a: a.ndim == 2 and a.dtype.kind in "iu" and 0 < a.size <= max_pixels,
        largest=8 * max_pixels,
    )
    if labels is None:
        name = show_path(path)
        raise PixelClusterError(f"{name}: holds no array named label_map; save it under that name")
    if int(labels.max()) > np.iinfo(np.int32).max:
        raise PixelClusterError(f"{show_path(path)}: holds the id {labels.max()}; 32 bits are wanted")
    palette = read_member(
        path, "palette", "uint8 (K, 3)", lambda a: a.dtype == np.uint8 and a.shape[1:] == (3,)
    )
    names = read_member(
        path,
        "names",
        f"text (K,) of at most {_MOST_NAMES} clusters",
        lambda a: a.dtype.kind == "U" and a.ndim == 1 and len(a) <= _MOST_NAMES,
    )
    return LabelFile(
        labels.astype(np.int32), palette, () if names is None else _printable(names.tolist()), None
    )


def read_member(
    path: str | os.PathLike[str],
    key: str,
    wanted: str,
    fits: Callable[[NDArray[Any]], bool],
    *,
    largest: int = 10_000_000,
) -> NDArray[Any] | None:
    """Return an array of an NPZ file, None where there is none of that name.

    Args:
        path: the file.
        key: name of the array.
        wanted: what fits, for the message.
        fits: whether an array of the shape and type in the header, without its data, is what is wanted.
        largest: number of bytes of data, at most.

    Raises:
        PixelClusterError: damaged, too large, or not what fits; the header alone decides.
    """
    name = show_path(path)
    check_regular_file(Path(path))
    try:
        with zipfile.ZipFile(path) as archive:
            if f"{key}.npy" not in archive.namelist():
                return None
            with archive.open(f"{key}.npy") as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0
                shape, _, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(member)
        n_bytes = math.prod(shape) * dtype.itemsize
        # Text of length 0 would take no bytes in any number.
        fair = 0 < dtype.itemsize <= largest and 0 <= n_bytes <= largest
        header = np.broadcast_to(np.empty((), dtype), shape) if fair else None
        if header is None or dtype.hasobject or not fits(header):
            raise PixelClusterError(f"{name}: {key} is {dtype} {shape}; wanted {wanted}")
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[key])
    except PixelClusterError:
        raise
    # Damaged headers and archives end in any of these, in zipfile, zlib, ast and numpy.
    except (
        *(OSError, EOFError, LookupError, ValueError, TypeError, SyntaxError, RuntimeError),
        *(NotImplementedError, RecursionError, MemoryError, zipfile.BadZipFile, zlib.error, struct.error),
    ) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:160]
        raise PixelClusterError(
            f"{name}: cannot be read as NPZ ({reason}); save the label map again"
        ) from None
