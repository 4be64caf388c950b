"""Damaged images, models, checkpoints and settings, each read in a process that is watched from outside."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pixelcluster.errors import PixelClusterError
from pixelcluster.torture.readers import KINDS, Read, prepare
from pixelcluster.torture.rows import Row

HANG = 10.0
"""Seconds a reader may take."""


@dataclass
class Tally:
    """What became of the inputs of one kind."""

    tried: int = 0
    accepted: int = 0
    refused: int = 0
    failed: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)


def inputs_section(count: int, seed: int = 0) -> list[Row]:
    """Read `count` damaged files of every kind; see `readers.KINDS`."""
    rows, sums = [], [0, 0, 0]
    for kind in KINDS:
        tally = try_kind(kind, count, seed)
        sums = [a + b for a, b in zip(sums, (tally.tried, len(tally.failed), len(tally.hung)), strict=True)]
        rows.append(
            Row(
                "inputs",
                f"{kind}: damaged files",
                f"{tally.tried} tried: {tally.refused} refused, {tally.accepted} read, "
                f"{len(tally.failed)} other errors, {len(tally.hung)} hangs",
                "0 other errors, 0 hangs",
                not tally.failed and not tally.hung,
                (*tally.failed[:5], *tally.hung[:5]),
            )
        )
    result = f"{sums[0]} tried, {sums[1]} errors outside our own type, {sums[2]} hangs over {HANG:g} s"
    return [*rows, Row("inputs", "all kinds", result, "0 errors, 0 hangs", not sums[1] and not sums[2])]


def try_kind(kind: str, count: int, seed: int) -> Tally:
    """Read damaged files in a child process; one that dies or hangs is counted and replaced."""
    tally = Tally()
    start = 0
    while start < count:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_worker, args=(theirs, kind, start, count, seed), daemon=True)
        child.start()
        theirs.close()
        start = _watch(ours, child, kind, start, count, seed, tally)
        child.join()
    return tally


def _watch(
    pipe: Connection,
    child: multiprocessing.process.BaseProcess,
    kind: str,
    start: int,
    count: int,
    seed: int,
    tally: Tally,
) -> int:
    """Count what a child says until it ends; return where the next one begins."""
    index, ready = start, False
    while index < count:
        name = f"{kind} {index}, seed {seed}"
        # The first message comes after imports and a small training.
        if not pipe.poll(HANG if ready else 120):
            child.kill()
            tally.hung.append(f"{name}: more than {HANG:g} s")
            tally.tried += 1
            return index + 1
        try:
            message: str = pipe.recv()
        except EOFError:
            tally.failed.append(f"{name}: the process died")
            tally.tried += 1
            return index + 1
        if message == "ready":
            ready = True
            continue
        tally.tried += 1
        if message in ("accepted", "refused"):
            setattr(tally, message, getattr(tally, message) + 1)
        else:
            tally.failed.append(f"{name}: {message}")
        index += 1
    return count


def _worker(pipe: Connection, kind: str, start: int, count: int, seed: int) -> None:
    """Read inputs start .. count - 1 and say what happened to each."""
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and libjpeg complain there
    with TemporaryDirectory() as folder:
        samples, read, damage = prepare(kind, Path(folder))
        pipe.send("ready")
        for index in range(start, count):
            pipe.send(_outcome(read, damaged(samples, damage, seed, index)))


def damaged(samples: list[bytes], damage: Callable[..., bytes], seed: int, index: int) -> bytes:
    """Return input number `index` of a seed."""
    random = np.random.default_rng((seed, index))
    first, second = (samples[random.integers(len(samples))] for _ in range(2))
    return damage(first, second, random)


def _outcome(read: Read, content: bytes) -> str:
    try:
        read(content)
    except PixelClusterError as error:
        return "refused" if "\n" not in str(error) else f"message of several lines: {error!r}"
    except MemoryError:
        return "MemoryError"
    except Exception as error:  # what gets here is what is looked for
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return "accepted"
