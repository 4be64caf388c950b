"""The clock that time limits are read from: the wall's, or the processor's while a benchmark counts that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_clock = time.monotonic


def now() -> float:
    """Return seconds since some moment; deadlines are values of this clock."""
    return _clock()


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
