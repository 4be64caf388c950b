"""Checks of the arguments that several entry points share; nothing heavy is imported for them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Literal

from pixelcluster.errors import PixelClusterError

Mode = Literal["fast", "exact"]
"""How a model answers about pixels: the student alone, or the chains."""

LARGEST_SEED = 2**32 - 1
"""NumPy and scikit-learn take no larger one."""


def check_seed(seed: object) -> None:
    """Refuse a seed that is no whole number from 0 to `LARGEST_SEED`.

    Raises:
        PixelClusterError: naming the seed and the range.
    """
    if not isinstance(seed, Integral) or not 0 <= int(seed) <= LARGEST_SEED:
        raise PixelClusterError(f"seed is {seed!r}; wanted a whole number from 0 to {LARGEST_SEED}")


def check_k(k: object) -> None:
    """Refuse what is neither a number of clusters nor "auto" nor None.

    Raises:
        PixelClusterError: naming it.
    """
    if k is not None and k != "auto" and (not isinstance(k, Integral) or int(k) < 1):
        raise PixelClusterError(f"k is {k!r}; wanted a whole number from 1 up, or 'auto' or None to choose")


def check_n_clusters(n_clusters: object) -> None:
    """Refuse what is neither a number of clusters nor "auto".

    Raises:
        PixelClusterError: naming it.
    """
    if n_clusters != "auto" and (not isinstance(n_clusters, int) or n_clusters < 1):
        raise PixelClusterError(f"n_clusters is {n_clusters!r}; wanted a number from 1 up, or 'auto'")


def check_mode(mode: str, modes: Sequence[str]) -> None:
    """Refuse a mode that does not exist: it would be taken for another one.

    Raises:
        PixelClusterError: naming it and those that do.
    """
    if mode not in modes:
        raise PixelClusterError(f"mode is {mode!r}; wanted {' or '.join(modes)}")
