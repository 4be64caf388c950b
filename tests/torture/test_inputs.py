from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pixelcluster.errors import PixelClusterError
from pixelcluster.torture import inputs
from pixelcluster.torture.inputs import Tally, damaged
from pixelcluster.torture.readers import KINDS, prepare


@pytest.mark.filterwarnings("ignore")  # as in the process that reads them
@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_accepted_and_damaged_ones_read_or_refused(kind: str, tmp_path: Path) -> None:
    samples, read, damage = prepare(kind, tmp_path)
    for sample in samples:
        read(sample)
    for index in range(8):
        assert inputs._outcome(read, damaged(samples, damage, 3, index)) in ("accepted", "refused")


def test_what_counts_as_an_error_outside_our_own() -> None:
    def raising(error: BaseException):
        def read(content: bytes) -> None:
            raise error

        return read

    assert inputs._outcome(raising(PixelClusterError("one line")), b"") == "refused"
    assert inputs._outcome(raising(PixelClusterError("two\nlines")), b"").startswith("message of several")
    assert inputs._outcome(raising(KeyError("x")), b"") == "KeyError: 'x'"
    assert inputs._outcome(raising(MemoryError()), b"") == "MemoryError"
    assert inputs._outcome(lambda content: None, b"") == "accepted"


class Pipe:
    """Says what it is told; None is silence, the end is the death of the process."""

    def __init__(self, *messages: str | None) -> None:
        self.messages: Iterator[str | None] = iter(messages)

    def poll(self, timeout: float) -> bool:
        self.next = next(self.messages, "end")
        return self.next is not None

    def recv(self) -> str:
        if self.next == "end":
            raise EOFError
        assert self.next is not None
        return self.next


def watch(*messages: str | None) -> tuple[int, Tally, list[str]]:
    tally, killed = Tally(), []
    child = SimpleNamespace(kill=lambda: killed.append("killed"))
    following = inputs._watch(Pipe(*messages), child, "png", 4, 8, 0, tally)  # type: ignore[arg-type]
    return following, tally, killed


def test_a_reader_that_hangs_is_killed_and_the_next_file_is_tried() -> None:
    following, tally, killed = watch("ready", "refused", None)
    assert (following, tally.tried, tally.refused, killed) == (6, 2, 1, ["killed"])
    assert tally.hung == ["png 5, seed 0: more than 10 s"]


def test_a_reader_that_dies_is_counted_and_the_next_file_is_tried() -> None:
    following, tally, _ = watch("ready", "accepted", "OSError: odd")
    assert following == 7
    assert tally.failed == ["png 5, seed 0: OSError: odd", "png 6, seed 0: the process died"]
    following, tally, _ = watch("ready", *["accepted"] * 4)
    assert (following, tally.accepted, tally.failed) == (8, 4, [])


def test_in_a_process_of_its_own() -> None:
    tally = inputs.try_kind("ppm", 3, 1)
    assert (tally.tried, tally.accepted + tally.refused) == (3, 3)


def test_files_are_numbered_by_seed() -> None:
    samples = [bytes(100), bytes(range(100))]

    def damage(first: bytes, second: bytes, random: np.random.Generator) -> bytes:
        return first[:1] + second[1:] + random.bytes(4)

    assert damaged(samples, damage, 1, 2) == damaged(samples, damage, 1, 2)
    assert damaged(samples, damage, 1, 2) != damaged(samples, damage, 1, 3)
