"""What the learned methods share: mini-batches under a time limit, rates, steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pixelcluster import clock


class Batch(NamedTuple):
    """One step's share of the images.

    Attributes:
        rows: (B,) indices.
        images: (B, C, h, w) float32 in [0, 1].
        progress: share of the epochs or of the time that is used up, the larger one, in [0, 1].
    """

    rows: Tensor
    images: Tensor
    progress: float


def minibatches(
    pixels: Tensor, *, batch_size: int, epochs: int, deadline: float, random: torch.Generator
) -> Iterator[Batch]:
    """Yield shuffled batches, all of one size, until the epochs or the time end; at least one.

    Args:
        pixels: (N, C, h, w) uint8.
        batch_size: B, or N where there are fewer images; the incomplete rest of an epoch is left out.
        epochs: passes over the images.
        deadline: `clock.now()` after which no further batch is given.
        random: orders the images; on the device of the pixels.
    """
    size = min(batch_size, len(pixels))
    per_epoch = len(pixels) // size
    started, step = clock.now(), 0
    allowed = max(deadline - started, 1e-9)
    for _ in range(epochs):
        order = torch.randperm(len(pixels), generator=random, device=pixels.device)
        for rows in torch.split(order[: per_epoch * size], size):
            used = (clock.now() - started) / allowed
            if used >= 1 and step:
                return
            yield Batch(rows, pixels[rows].float() / 255, min(1.0, max(used, step / (epochs * per_epoch))))
            step += 1


def in_batches(pixels: Tensor, size: int = 1000) -> Iterator[Tensor]:
    """Yield all images in order, (B, C, h, w) float32 in [0, 1], of pixels (N, C, h, w) uint8."""
    for part in torch.split(pixels, size):
        yield part.float() / 255


def share_of(deadline: float, share: float) -> float:
    """Return the `clock.now()` at which a share of the time left until a deadline is used up."""
    now = clock.now()
    return now + share * (deadline - now)


def set_rate(optimiser: torch.optim.Optimizer, rate: float, progress: float) -> None:
    """Give the step its learning rate: full for the first half of the run, then a cosine down to a hundredth.

    Args:
        optimiser: changed in place.
        rate: of the first half.
        progress: in [0, 1].
    """
    late = max(0.0, 2 * progress - 1)
    for group in optimiser.param_groups:
        group["lr"] = rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * late)))


def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> float:
    """Take one gradient step on a loss and return its value."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return loss.item()
