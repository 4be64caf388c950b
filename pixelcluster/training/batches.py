"""The order in which a fit visits its images: mini-batches of images of one size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch


def mini_batches(
    shapes: Sequence[tuple[int, ...]], batch_size: int, seed: int, epoch: int
) -> Iterator[list[int]]:
    """Yield the mini-batches of an epoch: each image is in one of them, in an order of (seed, epoch).

    Args:
        shapes: size of each image's label map.
        batch_size: images of a batch at most; only the last one of each size has fewer.
        seed: of the fit.
        epoch: counted from 0.

    Yields:
        Indices of images of one size.
    """
    random = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    waiting: dict[tuple[int, ...], list[int]] = {}
    for index in torch.randperm(len(shapes), generator=random).tolist():
        batch = waiting.setdefault(shapes[index], [])
        batch.append(index)
        if len(batch) == batch_size:
            yield list(batch)
            batch.clear()
    yield from (batch for batch in waiting.values() if batch)
