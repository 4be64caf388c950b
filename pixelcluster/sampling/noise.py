"""Random numbers of chains: one stream an image, from (seed, image id, step)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Streams:
    """One `torch.Generator` an image: draws depend on neither the rest of a batch nor its order.

    Numbers are drawn on the CPU and moved, so that every device sees the same ones.

    Args:
        seed: seed of the run.
        ids: image ids of the batch, numbers or text.
        step: visits of the image so far; a new visit gets new numbers.
        device: where draws are wanted.
    """

    def __init__(
        self,
        seed: int,
        ids: Sequence[int | str],
        step: int | Sequence[int] = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        steps = [step] * len(ids) if isinstance(step, int) else step
        self._generators = [_generator(seed, name, count) for name, count in zip(ids, steps, strict=True)]
        self._device = device

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Return N(0, 1) numbers, (B, *shape)."""
        return self._draw(lambda generator: torch.randn(tuple(shape), generator=generator))

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Return numbers uniform on [0, 1), (B, *shape)."""
        return self._draw(lambda generator: torch.rand(tuple(shape), generator=generator))

    def log_dirichlet(self, concentration: Tensor) -> Tensor:
        """Return log theta, theta ~ Dirichlet(concentration), both (B, K); -inf at concentration 0."""
        # Gamma(a) = Gamma(a + 1) U^(1/a), in logs: a small concentration does not underflow.
        parameter = iter(concentration.cpu() + 1)
        gamma = self._draw(lambda generator: torch._standard_gamma(next(parameter), generator=generator))
        boost = (1 - self.uniform(concentration.shape[1:])).log() / concentration
        return (gamma.log() + boost.where(concentration > 0, -torch.inf)).log_softmax(1)

    def _draw(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        return torch.stack([draw(generator) for generator in self._generators]).to(self._device)


def _generator(seed: int, name: int | str, step: int) -> torch.Generator:
    """Return the generator of one image at one visit."""
    digest = hashlib.blake2b(f"{seed}/{name}/{step}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little", signed=True))
