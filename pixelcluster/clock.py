"""The clock that time limits are read from: the wall's, or the processor's while a benchmark counts that."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

_clock = time.monotonic


def now() -> float:
    """Return seconds since some moment; deadlines are values of this clock."""
    return _clock()


def seconds_left(deadline: float) -> float | None:
    """Return what a checkpoint keeps of a deadline; None: there is none."""
    return None if deadline == math.inf else deadline - now()


def in_seconds(left: float | None) -> float:
    """Return the deadline of what `seconds_left` gave."""
    return math.inf if left is None else now() + float(left)


@contextmanager
def counting_cpu() -> Iterator[None]:
    """Let `now` count CPU seconds of this process, all threads together, while the context is open.

    A limit then buys every method the same computation, however busy the machine is. A process that only
    waits does not come nearer to its deadline.
    """
    global _clock
    _clock = time.process_time
    try:
        yield
    finally:
        _clock = time.monotonic
