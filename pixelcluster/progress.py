"""What a long run tells of itself while it is under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Progress = Callable[[Mapping[str, object]], None]
"""Called now and then with the facts that are known: phase and the share of it that is done, or step,
objective, shares (of the clusters), steps_per_second, rejected, seconds_left."""


def silent(facts: Mapping[str, object]) -> None:
    """Say nothing; a `Progress`."""
