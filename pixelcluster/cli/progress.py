"""Progress on the terminal: always on stderr, so that stdout stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")


def track(items: Iterable[T], total: int, description: str) -> Iterator[T]:
    """Pass items on, with a bar that counts them and the time left."""
    columns = (
        TextColumn(description),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task)


@contextmanager
def share_bar(description: str) -> Iterator[Callable[[float], None]]:
    """Give a function that shows a share done, 0 to 1; it is silent where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda share: None
        return
    columns = (TextColumn(description), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(description, total=1.0)
        yield lambda share: progress.update(task, completed=share)


@contextmanager
def live_line(*, shown: bool = True) -> Iterator[Callable[[Mapping[str, object]], None]]:
    """Give a function that shows a training run on one line; it is silent where stderr is no terminal."""
    console = Console(stderr=True)
    if not shown or not console.is_terminal:
        yield lambda state: None
        return
    with console.status("starting") as status:
        yield lambda state: status.update(training_line(state))


def training_line(state: Mapping[str, object]) -> str:
    """Phase, objective, shares per cluster, steps a second and time left, those that are known.

    Args:
        state: see `pixelcluster.progress`.

    Returns:
        For example "step 1200  objective 0.1234  shares 12 30 58 %  8.1 steps/s  3:20 left".
    """
    parts = []
    if isinstance(share := state.get("share"), float):
        parts.append(f"{state['phase']} {100 * share:.0f} %")
    if "step" in state:
        parts.append(f"step {state['step']}")
    if isinstance(objective := state.get("objective"), float):
        parts.append(f"objective {objective:.4f}")
    if isinstance(shares := state.get("shares"), Sequence):
        shown = " ".join(f"{100 * share:.0f}" for share in shares[:16])
        parts.append(f"shares {shown}{' ...' * (len(shares) > 16)} %")
    if isinstance(speed := state.get("steps_per_second"), float):
        parts.append(f"{speed:.1f} steps/s")
    if rejected := state.get("rejected"):
        parts.append(f"{rejected} proposals rejected")
    if isinstance(left := state.get("seconds_left"), (int, float)):
        parts.append(f"{int(left) // 60}:{int(left) % 60:02} left")
    return "  ".join(parts)
