"""Progress on the terminal: always on stderr, so that stdout stays clean."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pixelcluster.errors import counted
from pixelcluster.progress import silent

T = TypeVar("T")
LOG_SECONDS = 30
LEAST_SHARE = 1e-3
"""A cluster with less of the training images counts as unused."""


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
    """Give a `pixelcluster.progress` that shows a training run on one line.

    Where stderr is no terminal but a log, it adds a line now and then; see `log_lines`.
    """
    console = Console(stderr=True)
    if not shown:
        yield silent
    elif console.is_terminal:
        with console.status("starting") as status:
            yield lambda state: status.update(training_line(state))
    else:
        yield log_lines(LOG_SECONDS)


def log_lines(every: float) -> Callable[[Mapping[str, object]], None]:
    """Return a `pixelcluster.progress` that prints a run's time and state: at once, then every so often."""
    started, told = time.monotonic(), -math.inf

    def show(state: Mapping[str, object]) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= every:
            told = now
            click.echo(f"{_minutes(now - started)}  {training_line(state)}", err=True)

    return show


def training_line(state: Mapping[str, object]) -> str:
    """Say where a run is, its objective, shares of the clusters, speed and time left, as far as known.

    Args:
        state: see `pixelcluster.progress`.

    Returns:
        For example "start 3 of 4  epoch 5 of 12  step 340  objective 0.1234  shares 12 30 58 %  8.1 steps/s
        3:20 left of the starts"; step is the number a checkpoint would have, and without "of" the time is
        that of the whole run.
    """
    parts = []
    if isinstance(share := state.get("share"), float):
        parts.append(f"{state['phase']} {100 * share:.0f} %")
    if state.get("starts", 1) != 1:
        parts.append(f"start {state['start']} of {state['starts']}")
    if "epoch" in state:
        parts.append(f"epoch {state['epoch']} of {state['epochs']}")
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
        part = state.get("left_of")
        parts.append(f"{_minutes(left)} left" + (f" of {part}" if part else ""))
    return "  ".join(parts)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def training_end(history: Sequence[Mapping[str, object]], n_clusters: int, seconds: float) -> str:
    """Say how a training run ended.

    Args:
        history: an entry per epoch, as metrics.jsonl holds them.
        n_clusters: K of the model.
        seconds: that it took.

    Returns:
        For example "6 clusters, 5 in use, 12 epochs, objective -18.0978, 139 s".
    """
    epochs = [entry for entry in history if "objective" in entry]
    parts = [counted(n_clusters, "cluster")]
    if epochs:
        last = epochs[-1]
        shares = last.get("shares")
        in_use = sum(share >= LEAST_SHARE for share in shares) if isinstance(shares, Sequence) else n_clusters
        if in_use < n_clusters:
            parts.append(f"{in_use} in use")
        parts += [counted(len(epochs), "epoch"), f"objective {last['objective']:.4f}"]
    return ", ".join([*parts, f"{seconds:.0f} s"])
