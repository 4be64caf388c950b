"""Checks of the arguments that several entry points share; nothing heavy is imported for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Literal

from pixelcluster.errors import PixelClusterError

Mode = Literal["fast", "exact"]
"""How a model answers about pixels: the student alone, or the chains."""

LARGEST_SEED = 2**32 - 1
"""NumPy and scikit-learn take no larger one."""


def whole_number(name: str, value: object, least: int, most: float = math.inf, *, other: str = "") -> int:
    """Return a whole number, NumPy's among them, as an int: torch and settings take no other.

    Args:
        name: of the argument.
        value: of the argument.
        least: smallest accepted.
        most: largest accepted.
        other: what else could have been given, for the message.

    Raises:
        PixelClusterError: something else, truth values among it, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        end = "up" if most == math.inf else f"to {most}"
        raise PixelClusterError(f"{name} is {value!r}; wanted a whole number from {least} {end}{other}")
    return int(value)


def check_seed(seed: object) -> int:
    """Return a seed, see `whole_number`.

    Raises:
        PixelClusterError: it is no whole number from 0 to `LARGEST_SEED`.
    """
    return whole_number("seed", seed, 0, LARGEST_SEED)


def check_k(k: object) -> int | None:
    """Return a number of clusters, see `whole_number`; None where it is None or "auto", which choose one.

    Raises:
        PixelClusterError: it is nothing of this.
    """
    if k is None or k == "auto":
        return None
    return whole_number("k", k, 1, other=", or 'auto' or None to choose")


def check_n_clusters(n_clusters: object) -> int | Literal["auto"]:
    """Return a number of clusters, see `whole_number`, or "auto".

    Raises:
        PixelClusterError: it is neither.
    """
    return "auto" if n_clusters == "auto" else whole_number("n_clusters", n_clusters, 1, other=", or 'auto'")


def check_mode(mode: str, modes: Sequence[str]) -> None:
    """Refuse a mode that does not exist: it would be taken for another one.

    Raises:
        PixelClusterError: naming it and those that do.
    """
    if mode not in modes:
        raise PixelClusterError(f"mode is {mode!r}; wanted {' or '.join(modes)}")
