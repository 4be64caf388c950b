"""Checkpoints of a run: a folder of `step-<number>.safetensors`, each a whole state; a few are kept."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pixelcluster.errors import PixelClusterError, PixelClusterWarning, show_path
from pixelcluster.io.write import make_folder, remove_temporaries
from pixelcluster.resuming.state_file import State, read_state, write_state
from pixelcluster.stopping import Interrupted, StopSignals
from pixelcluster.training import distributed

KEPT = 3
_NAME = re.compile(r"step-(\d+)\.safetensors")


class Snapshots:
    """Writes the checkpoints of one run.

    Args:
        folder: made at the first checkpoint.
        every: seconds between checkpoints; one more is written when the run is asked to stop.
        caller: JSON facts to keep beside the state, under "caller".
        state: a state the run goes on from.
        stop: signals to end on; None: nothing but the clock matters.
        command: the one that goes on with the run by --resume.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every: float,
        caller: dict[str, Any],
        state: State | None = None,
        stop: StopSignals | None = None,
        command: str = "train",
    ) -> None:
        self.folder, self.every, self.caller, self.state, self.stop = folder, every, caller, state, stop
        self.command = command
        self._due = time.monotonic() + every
        if stop is not None and state is not None:
            stop.message = self._stopped_at(state.get("step"))  # until another step is taken

    def after_step(self, step: int, describe: Callable[[], State]) -> None:
        """Save if it is time, or if the run shall stop.

        Args:
            step: number of the last step taken.
            describe: returns the state; only called to save.

        Raises:
            Interrupted: a signal came; the state is saved.
            PixelClusterError: the checkpoint cannot be written; earlier ones are intact.
        """
        if self.stop is not None:
            self.stop.deferred = True  # from here on there is something to save
        received = None if self.stop is None else self.stop.received
        signum = distributed.agreed(received or 0)  # a signal to one process stops all
        if distributed.leads() and (signum or time.monotonic() >= self._due):
            self.save(step, describe())
        if signum:
            distributed.agreed(0)  # nobody leaves before the state is saved: torchrun would end the others
            raise Interrupted(signum, self._stopped_at(step))

    def settle(self, step: int, state: State) -> None:
        """Save a state from which the rest of the run is done again; a signal ends that rest at once.

        Args:
            step: number of the last step taken.
            state: the last one to save.

        Raises:
            Interrupted: a signal came before.
            PixelClusterError: the checkpoint cannot be written; earlier ones are intact.
        """
        self.save(step, state)
        if self.stop is not None:
            self.stop.deferred, self.stop.message = False, self._stopped_at(step)
            if self.stop.received is not None:
                raise Interrupted(self.stop.received, self.stop.message)

    def _stopped_at(self, step: object) -> str:
        """Return what a run says that stops."""
        folder = show_path(self.folder.parent)
        return f"stopped, saved at step {step}; go on with: pixelcluster {self.command} --resume {folder}"

    def save(self, step: int, state: State) -> None:
        """Write a checkpoint and delete the oldest beyond the number kept.

        Raises:
            PixelClusterError: it cannot be written; earlier ones are intact.
        """
        make_folder(self.folder)
        remove_temporaries(self.folder)  # of a run that was killed while it wrote
        write_state(self.folder / f"step-{step:09}.safetensors", {**state, "caller": self.caller})
        for path in find(self.folder)[KEPT:]:
            path.unlink(missing_ok=True)
        self._due = time.monotonic() + self.every


def find(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, newest first, by step number."""
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match:
            found.append((int(match[1]), path))
    return [path for _, path in sorted(found, reverse=True)]


def read_newest(folder: Path) -> State:
    """Return the state of the newest checkpoint that can be read.

    Warns:
        PixelClusterWarning: a newer one is damaged.

    Raises:
        PixelClusterError: there is none, or no folder of a run around it.
    """
    run = show_path(folder.parent)
    if not folder.parent.is_dir():
        raise PixelClusterError(f"{run}: there is no such folder; --resume wants the -o DIR of a run")
    for path in find(folder):
        try:
            return read_state(path)
        except PixelClusterError as error:
            warnings.warn(str(error), PixelClusterWarning, stacklevel=2)
    raise PixelClusterError(f"{run}: holds no checkpoint to resume from; start again without --resume")


def remove(folder: Path) -> None:
    """Delete the checkpoints of a run that is done, and their folder where nothing else is in it."""
    for path in find(folder):
        path.unlink(missing_ok=True)
    remove_temporaries(folder)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
