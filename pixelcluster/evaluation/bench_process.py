"""Benchmark of whole processes: `pixelcluster segment` on a photograph; seconds and memory of any process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.bench_rows import Options, Row, median_times

_REPEATS = 5
"""At most: a process takes seconds."""
_WATCHER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
sys.exit(code)
"""
"""A child's peak counts what its parent held at the fork, so a parent that holds little stands between."""


@dataclass(frozen=True)
class Usage:
    """What a process took: seconds, and peak resident memory in bytes."""

    seconds: float
    peak: int


def segment_section(options: Options) -> list[Row]:
    """`pixelcluster segment` on a photograph, whole process, against a bare import of torch."""
    height, width = options.photo
    with TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        with Image.open(options.sample) as sample:
            sample.convert("RGB").resize((width, height)).save(photo)
        segment = segment_command(photo, Path(folder) / "out")
        times = median_times(
            min(options.repeats, _REPEATS),
            {
                "segment": lambda: run(segment, options.threads),
                "torch": lambda: run([sys.executable, "-c", "import torch"], options.threads),
            },
        )
    name = f"pixelcluster segment, {width} x {height}, whole process"
    return [
        Row("segment", name, times["segment"], "s"),
        Row("segment", 'python -c "import torch"', times["torch"], "s"),
        Row("segment", "difference", times["segment"] - times["torch"], "s", 2.5),
    ]


def segment_command(image: Path, output: Path) -> list[str]:
    """Return the command that segments an image without a model."""
    command = [sys.executable, "-m", "pixelcluster", "segment", str(image), "-o", str(output)]
    return [*command, "--overwrite", "--max-pixels", str(2**31)]


def run(command: Sequence[str], threads: int) -> Usage:
    """Run a process to its end.

    Args:
        command: program and arguments.
        threads: of its numerical libraries.

    Raises:
        PixelClusterError: it failed; with the last line it wrote.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    started = time.perf_counter()
    watcher = [sys.executable, "-S", "-c", _WATCHER, *command]
    done = subprocess.run(watcher, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise PixelClusterError(f"{' '.join(command[1:4])} failed ({reason}); run it alone to see more")
    return Usage(seconds, int(done.stdout))


def tile(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return an image (height, width, C) covered with copies of pixels (h, w, C)."""
    times = (-(-height // pixels.shape[0]), -(-width // pixels.shape[1]), 1)
    return np.ascontiguousarray(np.tile(pixels, times)[:height, :width])
