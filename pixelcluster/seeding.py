"""Seeds for what draws from torch's global stream alone: the initial weights of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a seed inside; the caller's global stream stays as it was.

    The stream of the CPU alone is touched, as layers are made there; `torch.manual_seed` would leave those of
    all GPUs changed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
