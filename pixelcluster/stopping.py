"""Ctrl-C and SIGTERM: a command ends in order on the first, at once on the second."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MESSAGE = "interrupted"
CHECKPOINTS = "checkpoints"
"""Folder in a run's output; it is deleted when the results are written."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to end.

    Args:
        signum: the signal; the exit code is 128 + signum, as a shell has it: 130 for Ctrl-C, 143 for SIGTERM.
        message: what was saved, and how to go on.
    """

    def __init__(self, signum: int, message: str = _MESSAGE) -> None:
        super().__init__(message)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """128 + signum."""
        return 128 + self.signum


class StopSignals:
    """Handles both signals while the context is open; does nothing outside the main thread.

    The first signal raises `Interrupted`, so that files half written are removed; while `deferred` is set, it
    is only noted, so that a loop can first save what it has. From then on both signals have their default
    action: a second one ends the process at once, even in a long call. No file is torn by that, since files
    get their names only when they are whole.

    Attributes:
        received: the signal, or None.
        deferred: True while a loop looks at `received` after each of its steps and ends the program itself.
        message: of the `Interrupted` that is raised while nobody does.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.deferred = False
        self.message = _MESSAGE
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_DFL)
        if not self.deferred:
            raise Interrupted(number, self.message)


@dataclass(frozen=True)
class Keeping:
    """When a run saves its state.

    Attributes:
        minutes: between two checkpoints.
        stop: signals that make it save after the step under way, and end.
    """

    minutes: float = 10.0
    stop: StopSignals | None = None
