"""File helpers shared by the data sets: lists of stems, folders by stem, label PNGs."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pixelcluster.errors import PixelClusterError, show_path

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def read_stems(lists: Path | Sequence[Path]) -> list[str]:
    """Read one or several lists of image stems, plain or gzip text, one stem a line; empty lines are skipped.

    Returns:
        The stems in the order of the lists.

    Raises:
        PixelClusterError: a list is missing, unreadable or empty, or a stem occurs twice.
    """
    paths = [lists] if isinstance(lists, Path) else list(lists)
    names = ", ".join(show_path(path) for path in paths)
    stems: list[str] = []
    for path in paths:
        try:
            raw = path.read_bytes()
            text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise PixelClusterError(f"{show_path(path)}: cannot read the image list ({error})") from error
        stems += [line.strip() for line in text.splitlines() if line.strip()]
    if not stems:
        raise PixelClusterError(f"{names}: no stems in the image list, one a line is wanted")
    stem, times = Counter(stems).most_common(1)[0]
    if times > 1:
        raise PixelClusterError(f"{names}: stem {stem} is listed {times} times, list it once")
    return stems


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Return the JPEG and PNG files directly in `folder` by stem, sorted; hidden files are skipped.

    Raises:
        PixelClusterError: two files share a stem.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise PixelClusterError(
                f"{show_path(path)}: same stem as {found[path.stem].name}, remove one of them"
            )
        found[path.stem] = path
    return found


def choose(available: Sequence[str], wanted: Sequence[str] | None, what: str) -> list[str]:
    """Return the wanted stems, or all available ones when no list was given.

    Args:
        available: the stems found on disk.
        wanted: the stems of an image list, or None.
        what: where was looked, for the message.

    Raises:
        PixelClusterError: a wanted stem is not available, or nothing is.
    """
    stems = list(available) if wanted is None else list(wanted)
    missing = sorted(set(stems) - set(available))
    if missing:
        raise PixelClusterError(
            f"{what}: {len(missing)} of {len(stems)} listed images are missing, first {missing[0]}; "
            "add them or shorten the list"
        )
    if not stems:
        raise PixelClusterError(f"{what}: no JPEG or PNG images found")
    return stems


def read_label_png(path: Path) -> npt.NDArray[np.uint8]:
    """Read a single-channel 8-bit label PNG (grey or palette indices), (H, W) uint8.

    Raises:
        PixelClusterError: unreadable, or not single-channel 8-bit.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.mode not in ("L", "P"):
                raise PixelClusterError(
                    f"{show_path(path)}: label has mode {image.mode}, wanted 8-bit grey or palette ids"
                )
            return np.array(image, dtype=np.uint8)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise PixelClusterError(f"{show_path(path)}: cannot read the label PNG ({error})") from error
