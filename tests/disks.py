"""Disks that fill up."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixelcluster.io import write


def fill_up(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the disk be full when the file of this number, from 1, is flushed."""
    original, calls = write.flush, 0

    def flush(path: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise OSError(28, "No space left on device")
        original(path)

    monkeypatch.setattr(write, "flush", flush)


def contents(paths: list[Path]) -> list[bytes]:
    """Read files that all exist."""
    return [path.read_bytes() for path in paths]
