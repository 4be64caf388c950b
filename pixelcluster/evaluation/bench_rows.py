"""What the sections of the benchmark share: options, rows, medians, the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class KernelSize:
    """Shapes the kernels are timed on: batch, target channels, side of the label grid, cluster numbers."""

    batch: int = 8
    channels: int = 64
    side: int = 64
    clusters: tuple[int, int] = (3, 27)


@dataclass(frozen=True)
class Options:
    """What a section is told.

    Attributes:
        repeats: timed calls a row; sections of whole processes and large images take fewer.
        threads: of torch, here and in processes that are started.
        sample: the picture everything is made from.
        model: a trained model; None trains a small one.
        full: also what takes long and much memory.
        kernels: shapes of the kernels.
        photo: (height, width) of the photograph, pixels.
        sides: of the square images time is fitted over, pixels.
        large_side: of the largest image, pixels.
        raster_side: of the raster that is read in windows, pixels.
        video: (height, width) of the clips, pixels.
    """

    repeats: int
    threads: int
    sample: Path
    model: Path | None = None
    full: bool = False
    kernels: KernelSize = KernelSize()
    photo: tuple[int, int] = (321, 481)
    sides: tuple[int, ...] = (256, 512, 1024, 2048, 4096)
    large_side: int = 10_000
    raster_side: int = 20_000
    video: tuple[int, int] = (360, 640)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        section: the section it belongs to.
        measure: what was measured.
        value: in `unit`.
        unit: "ms", "s", "GB", or "x" with what it is a multiple of.
        limit: largest value wanted.
        note: floor in operations and bytes, settings.
    """

    section: str
    measure: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the limit is kept; None where there is none."""
        return None if self.limit is None else self.value <= self.limit


def median_times(
    repeats: int, calls: Mapping[str, Callable[[], object]], *, warm_up: bool = True
) -> dict[str, float]:
    """Return the median seconds of each call; they take turns, so a busy machine slows all alike.

    Args:
        repeats: timed turns.
        calls: what to time, by name.
        warm_up: take a turn before that is not timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-warm_up, repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| section | measure | value | unit | limit | met | note |", "|---|---|---|---|---|---|---|"]
    words = {None: "", True: "yes", False: "NO"}
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:g}"
        cells = [row.section, row.measure, f"{row.value:.3g}", row.unit, limit, words[row.met], row.note]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
