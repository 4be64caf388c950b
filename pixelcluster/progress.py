"""What a long run tells of itself while it is under way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pixelcluster import clock

Progress = Callable[[Mapping[str, object]], None]
"""Called now and then with the facts that are known: phase and the share of it that is done; start of starts;
epoch of epochs; step (it numbers the checkpoints), objective, shares (of the clusters), rejected,
steps_per_second, and seconds_left (of the whole run, or of left_of)."""


def silent(facts: Mapping[str, object]) -> None:
    """Say nothing; a `Progress`."""


class Pace:
    """Speed of a phase and the time left, told from the numbers of its steps.

    Args:
        total: steps of the phase.
        until: `clock.now()` the run ends at.
        part: name of the phase where other work follows it; "": it is the last.
    """

    def __init__(self, total: int, *, until: float = math.inf, part: str = "") -> None:
        self.total, self.until, self.part = total, until, part
        self._first: tuple[float, int] | None = None

    def facts(self, done: int) -> dict[str, object]:
        """Return steps_per_second, seconds_left and left_of of a `Progress` after `done` steps, where known.

        The first call starts the clock. How long the work after this phase takes is not known: the time left
        is that of the phase, or of the whole run where its limit comes first.
        """
        now = clock.now()
        began, first = self._first = self._first or (now, done)
        speed = (done - first) / max(now - began, 1e-9)
        facts: dict[str, object] = {"steps_per_second": speed} if speed else {}
        limit, part = max(0.0, self.until - now), self.part
        left = (self.total - done) / speed if speed else math.inf
        if limit <= left:
            left, part = limit, ""
        return facts | ({"seconds_left": left, "left_of": part} if left < math.inf else {})
