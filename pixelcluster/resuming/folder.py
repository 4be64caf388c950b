"""The folder of a run while there is nothing in it yet, and when everything is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pixelcluster.io.write import make_folder
from pixelcluster.stopping import CHECKPOINTS, StopSignals

FINISHED = "the run is finished and its model written; there is nothing to resume"
"""What `--resume` says of a run that has ended."""


@contextmanager
def run_folder(folder: Path, stop: StopSignals | None) -> Iterator[None]:
    """Make the folder of a run, and take it away again where the block fails before anything is in it.

    A signal says that nothing was saved, until somebody sets another message.

    Args:
        folder: made with its parents, where missing.
        stop: signals that end the run.

    Raises:
        PixelClusterError: the folder cannot be made.
    """
    if stop is not None:
        stop.message = "stopped before anything was saved; start again"
    missing = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        make_folder(folder)
        yield
    except BaseException:
        for path in missing:
            try:
                path.rmdir()
            except OSError:  # something is in it, or it was not made
                break
        raise


def holds_end(folder: Path, files: Sequence[str]) -> bool:
    """Whether the folder of a run holds the files it ends with, and no other run has begun in it since."""
    return _holds_all(folder, files) and not os.path.isdir(folder / CHECKPOINTS)


def forget_run(folder: Path, files: Sequence[str]) -> None:
    """Delete the checkpoints of an earlier run, and mark that its end is not that of the next.

    Args:
        folder: of the runs.
        files: as of `holds_end`.
    """
    from pixelcluster.resuming.snapshots import remove  # imports torch

    ended = _holds_all(folder, files)
    remove(folder / CHECKPOINTS)
    if ended:  # `remove` takes the mark away again when the next run ends
        make_folder(folder / CHECKPOINTS)


def _holds_all(folder: Path, files: Sequence[str]) -> bool:
    return all(os.path.isfile(folder / name) for name in files)
