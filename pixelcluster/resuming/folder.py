"""The folder of a run while there is nothing in it yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixelcluster.io.write import make_folder
from pixelcluster.stopping import StopSignals


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
