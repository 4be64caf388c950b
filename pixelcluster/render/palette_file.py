"""Palettes in files: "r g b" or "#rrggbb" lines, JSON, or GIMP."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import file_size
from pixelcluster.render.palette import PALETTES, make_palette

_LARGEST_FILE = 1_000_000
_HEX = re.compile("#[0-9a-fA-F]{6}")
_COLOUR_LINE = re.compile(r"\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)(?:\s+(?!\d).*)?$")


def read_palette(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read colours, one a cluster, from a text file.

    Args:
        path: ``.json`` holds a list of ``[r, g, b]`` or ``"#rrggbb"``; anything else holds one ``r g b`` or
            ``#rrggbb`` a line, blank lines and other lines starting with # skipped, which also covers GIMP's
            ``.gpl`` with its header.

    Returns:
        (K, 3) uint8, K >= 1.

    Raises:
        PixelClusterError: unreadable, empty, or a line that is no colour; the line is named.
    """
    name = show_path(path)
    if file_size(Path(path)) > _LARGEST_FILE:
        raise PixelClusterError(
            f"{name}: larger than 1 MB, so not a palette; wanted text with one 'r g b' a line"
        )
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise PixelClusterError(
            f"{name}: cannot be read as a palette ({reason}); wanted one 'r g b' a line"
        ) from None
    colours = _from_json(text, name) if Path(path).suffix.lower() == ".json" else _from_lines(text, name)
    if not colours:
        raise PixelClusterError(f"{name}: holds no colour; wanted one 'r g b' or '#rrggbb' a line")
    return np.array(colours, dtype=np.uint8)


def chosen_palette(
    palette: str,
    n_ids: int,
    user: str,
    *,
    image: NDArray[np.float32] | None = None,
    label_map: NDArray[np.integer] | None = None,
) -> NDArray[np.uint8]:
    """The colours that a palette's name or file gives.

    Args:
        palette: one of `PALETTES`, or a file.
        n_ids: colours wanted.
        user: what they are for, for the message.
        image: see `make_palette`.
        label_map: see `make_palette`.

    Returns:
        (K, 3) uint8, K >= n_ids.

    Raises:
        PixelClusterError: no such palette, or too few colours in it.
    """
    if palette in PALETTES:
        return make_palette(palette, n_ids, image=image, label_map=label_map)
    check_palette(palette)
    colours = read_palette(palette)
    if len(colours) < n_ids:
        raise PixelClusterError(
            f"{show_path(palette)}: holds {len(colours)} colours, but {user} has ids up to {n_ids - 1}; "
            "add colours"
        )
    return colours


def check_palette(palette: str) -> None:
    """Refuse what is neither one of `PALETTES` nor a file.

    Raises:
        PixelClusterError: naming it.
    """
    if palette not in PALETTES and not os.path.exists(palette):
        raise PixelClusterError(
            f"{show_path(palette)}: no such palette; choose {', '.join(PALETTES)} or name a palette file"
        )


def palette_text(palette: NDArray[np.uint8], suffix: str, names: Sequence[str] = ()) -> str:
    """Return what a file for `read_palette` (and, for ``.gpl``, GIMP and Inkscape) holds.

    Args:
        palette: (K, 3) uint8.
        suffix: ".json", ".gpl", or any other for plain lines.
        names: of the clusters, for ".gpl".
    """
    rows = [[int(v) for v in colour] for colour in palette]
    if suffix == ".json":
        return json.dumps(rows) + "\n"
    if suffix == ".gpl":
        words = [names[i] if i < len(names) and names[i] else f"cluster {i}" for i in range(len(rows))]
        lines = [f"{r:3} {g:3} {b:3}\t{word}" for (r, g, b), word in zip(rows, words, strict=True)]
        return "\n".join(["GIMP Palette", "Name: pixelcluster", "#", *lines]) + "\n"
    return "".join(f"{r} {g} {b}\n" for r, g, b in rows)


def _from_json(text: str, name: str) -> list[list[int]]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        raise PixelClusterError(
            f"{name}: not valid JSON; wanted [[r, g, b], ...] or ['#rrggbb', ...]"
        ) from None
    if not isinstance(entries, list):
        raise PixelClusterError(f"{name}: the JSON is no list; wanted [[r, g, b], ...] or ['#rrggbb', ...]")
    return [_json_colour(entry, f"{name}, entry {i}") for i, entry in enumerate(entries)]


def _json_colour(entry: object, where: str) -> list[int]:
    if isinstance(entry, str) and _HEX.fullmatch(entry):
        return list(bytes.fromhex(entry[1:]))
    if isinstance(entry, list) and len(entry) == 3 and all(type(v) is int and 0 <= v <= 255 for v in entry):
        return entry
    raise PixelClusterError(
        f"{where}: {json.dumps(entry)[:40]} is no colour; wanted [r, g, b] from 0 to 255 or '#rrggbb'"
    )


def _from_lines(text: str, name: str) -> list[list[int]]:
    colours = []
    lines = text.splitlines()
    gimp = bool(lines) and lines[0].strip() == "GIMP Palette"
    for number, line in enumerate(lines, 1):
        if not gimp and _HEX.fullmatch(line.strip()):
            colours.append(list(bytes.fromhex(line.strip()[1:])))
            continue
        header = gimp and (number == 1 or re.match(r"\s*(Name|Columns):", line))
        if header or not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _COLOUR_LINE.match(line)
        values = [int(v) for v in match.groups()] if match else [256]
        if max(values) > 255:
            raise PixelClusterError(
                f"{name}, line {number}: {line.strip()[:40]!r} is no colour; wanted 'r g b', each 0 to 255, "
                "or '#rrggbb'"
            )
        colours.append(values)
    return colours
