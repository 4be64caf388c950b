"""Lists of images in a file, read line by line: a million of them cost some 150 MB, for what came before."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import file_size
from pixelcluster.io.naming import Place

SUFFIXES = (".txt", ".jsonl", ".csv")
_COLUMN = "path"


def is_manifest(path: Path) -> bool:
    """Whether an input is a list of images: told by its suffix, which no image has."""
    return path.suffix.lower() in SUFFIXES


def read_manifest(manifest: Path) -> Iterator[tuple[int, Path]]:
    """Yield the line and path of each image of a manifest, as if it had been given on the command line.

    Args:
        manifest: .txt, one path a line; .jsonl, one object a line, or .csv with a header, both with a `path`.
            Empty lines mean nothing.

    Raises:
        PixelClusterError: it cannot be read, or a line holds no path; the line is named.
    """
    name, number = show_path(manifest), 0

    def lines(file: TextIO) -> Iterator[str]:
        nonlocal number
        for line in file:
            number += 1
            yield line

    file_size(manifest)  # a pipe would be waited for
    try:
        # surrogateescape: a file name may be any bytes.
        with open(manifest, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            for text in _READERS[manifest.suffix.lower()](lines(file)):
                if not isinstance(text, str) or not text or "\0" in text:
                    raise ValueError(f"{_COLUMN} is {str(text)[:40]!r}")
                yield number, Path(text)
    except OSError as error:
        raise PixelClusterError(
            f"{name}: cannot be read ({error.strerror}); wanted a list of paths"
        ) from None
    except (ValueError, csv.Error, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise PixelClusterError(
            f"{name}: line {number} lists no image ({reason}); wanted one path a line (.txt), or a column "
            f"'{_COLUMN}' (.csv, .jsonl)"
        ) from None


def _lines(lines: Iterator[str]) -> Iterator[object]:
    return (line.rstrip("\r\n") for line in lines if line.strip())


def _objects(lines: Iterator[str]) -> Iterator[object]:
    entries = (json.loads(line) for line in lines if line.strip())
    return (entry.get(_COLUMN) if isinstance(entry, dict) else None for entry in entries)


def _rows(lines: Iterator[str]) -> Iterator[object]:
    return (row.get(_COLUMN) for row in csv.DictReader(lines))


_READERS = {".txt": _lines, ".jsonl": _objects, ".csv": _rows}


def place_listed(source: Path, output: Path) -> Place:
    """Return where the outputs of a listed image go; it depends on nothing but the path.

    `a/x.jpg` gives `output/a/x_jpg...`. Absolute paths, also those inside the current folder, and what lies
    outside it keep their whole path. Two of a list seldom meet (`/a/x.jpg` and `a/x.jpg`, `x.jpg` and
    `x_jpg`); `stream.Source.jobs` refuses the second.

    Args:
        source: the image.
        output: folder of all outputs.
    """
    inside = source if source.is_absolute() else Path(os.path.relpath(source))
    if inside.is_absolute() or inside.parts[:1] == ("..",):
        inside = Path(os.path.abspath(source))
        inside = inside.relative_to(inside.anchor)
    return Place(source, output / inside.parent, f"{inside.stem}_{inside.suffix[1:]}".rstrip("_"))
