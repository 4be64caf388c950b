"""What a long run has done so far: a JSON line an image, on the disk before the next one counts."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import file_size
from pixelcluster.segmenting.runs.jobs import Outcome


class PathSet:
    """Many paths in 8 bytes each: a million is 8 MB. Two of a million share a number in 1 of 30 million sets.

    Args:
        paths: in any order.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._numbers = np.sort(np.fromiter(map(path_number, paths), np.uint64))

    def __contains__(self, path: str) -> bool:
        number = np.uint64(path_number(path))
        index = int(self._numbers.searchsorted(number))
        return index < len(self._numbers) and bool(self._numbers[index] == number)


def path_number(path: str) -> int:
    """Return 64 bits of a hash."""
    digest = hashlib.blake2b(os.fsencode(path), digest_size=8).digest()
    return int.from_bytes(digest, "little")


class Journal:
    """Appends outcomes to a file, and knows which inputs an earlier run finished.

    Each line is one `write` to a file opened for appending, and is flushed to the disk; a line that a kill
    cut short is ignored by the next run.

    Args:
        path: made where missing; its folder exists.

    Attributes:
        finished: inputs with a line that is no error.
        begun: whether there were lines already.

    Raises:
        PixelClusterError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists():
            file_size(path)  # a pipe would be waited for
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self.begun = os.fstat(self._file).st_size > 0
            self.finished = PathSet(_finished(path))
            if self.begun and _is_torn(path):
                os.write(self._file, b"\n")
        except OSError as error:
            raise self._failed(error) from None

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def add(self, outcome: Outcome) -> None:
        """Append what became of an input.

        Raises:
            PixelClusterError: the disk is full, or gone.
        """
        line = json.dumps(outcome.as_json()) + "\n"
        try:
            os.write(self._file, line.encode())
            os.fsync(self._file)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> PixelClusterError:
        return PixelClusterError(
            f"{show_path(self.path)}: the run's journal cannot be kept ({error.strerror}); free the disk or "
            "choose another -o"
        )


def _is_torn(path: Path) -> bool:
    """Whether a kill cut the last line short."""
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _finished(path: Path) -> Iterator[str]:
    """Yield the inputs of the lines that are no error."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and "error" not in entry and isinstance(entry.get("input"), str):
                yield entry["input"]
