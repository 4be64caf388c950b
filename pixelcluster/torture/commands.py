"""`pixelcluster` as a process that can be killed, limited and timed, and the check of what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pixelcluster.errors import PixelClusterError
from pixelcluster.torture.samples import SETTINGS

PATIENCE = 300.0
"""Seconds any process may take."""


def start(arguments: Sequence[object], *, file_limit: int | None = None) -> subprocess.Popen[str]:
    """Start `pixelcluster` on one thread.

    Args:
        arguments: of the command.
        file_limit: largest file it may write, in bytes; the system's answer to a full disk.
    """

    def limit() -> None:
        import resource  # not on Windows

        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.Popen(
        [sys.executable, "-m", "pixelcluster", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=None if file_limit is None else limit,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; return exit code and what was written to standard error."""
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


def kill(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> tuple[int, str]:
    """Send a signal and wait for the end."""
    process.send_signal(number)
    return finish(process)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> bool:
    """Wait for a condition while a process runs; tell whether it came."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends and process.poll() is None:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def train_arguments(folder: Path, output: Path, *, checkpoint_every: float = 0) -> list[object]:
    """Return the command that trains the small model; by default with a checkpoint a step."""
    settings = folder.parent / "settings.yaml"
    settings.write_text(SETTINGS, encoding="utf-8")
    options = ["--config", settings, "--checkpoint-every", checkpoint_every, "--overwrite"]
    return ["train", folder, "-o", output, *options]


def damaged_files(folder: Path) -> list[str]:
    """Return the visible files below a folder that are not whole; hidden ones are temporaries."""
    from pixelcluster.io.decode import load_image
    from pixelcluster.resuming.state_file import read_state

    found = []
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or path.is_dir():
            continue
        try:
            if path.suffix == ".png":
                load_image(path)
            elif path.name.startswith("step-"):
                read_state(path)
            elif path.stat().st_size == 0:
                raise PixelClusterError("empty")
        except PixelClusterError as error:
            found.append(f"{path.name}: {error}")
    return found


def one_line(errors: str) -> bool:
    """Whether a failed command said what is wrong in one line."""
    lines = [line for line in errors.splitlines() if line.strip()]
    return bool(lines) and lines[-1].startswith("error: ") and "Traceback" not in errors
