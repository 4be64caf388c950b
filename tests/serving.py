"""`pixelcluster serve` as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running() -> Iterator[str]:
    """Start the command, give the address it prints, and end it by a signal; it must have nothing to add."""
    command = [sys.executable, "-m", "pixelcluster", "serve", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        yield server.stdout.readline().split()[0]
        server.terminate()
        assert server.wait(20) == 143
        assert server.stderr.read() == "interrupted\n"
