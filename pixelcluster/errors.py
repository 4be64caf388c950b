"""What pixelcluster raises and warns with, and how files and numbers of things are named in a message."""

from __future__ import annotations

import os
import sys


class PixelClusterError(ValueError):
    """A problem the user can solve. One line: what was found, what was wanted, the way out."""


class PixelClusterWarning(UserWarning):
    """The result stands, but is not exactly what was asked for (fewer clusters, for example)."""


def caller_level() -> int:
    """Return the `stacklevel` of a warning that shall point at the line which called the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    return level


def counted(count: int, noun: str) -> str:
    """Return how many there are, in English: "1 image", "2 images"."""
    return f"{count} {noun}{'s' * (count != 1)}"


def show_path(path: str | os.PathLike[str]) -> str:
    r"""Name a file in a message: one printable line, whatever bytes the name holds.

    Args:
        path: any path; control characters and undecodable bytes are shown escaped (``\n``, ``\udcff``).

    Returns:
        The path as text without line breaks.
    """
    text = os.fspath(path)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
