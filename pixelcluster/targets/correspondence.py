"""Target stack `correspondence`: codes in which the correspondences of frozen features are all or nothing.

A small head s = A f + B relu(C f) on features f of the stack `encoder` learns codes whose cosines are large
where those of the features are, and zero elsewhere. With cells p of one image and q of another (itself, one
of its nearest neighbours, a random one),

    F_pq = cos(f_p, f_q), less its mean over q (eq. 3), plus its mean over all pairs (the authors' code);
    loss = -mean_pq (F_pq - b) max(cos(s_p, s_q), 0)

weighted over the three kinds of pairs (eq. 4); neighbours by the mean feature of an image.

Source: Hamilton, Zhang, Hariharan, Snavely and Freeman, Unsupervised semantic segmentation by distilling
feature correspondences (STEGO), ICLR 2022. Weights, shifts b and the number of codes are the defaults of the
authors' code; the features are those of `targets.encoder` instead of a ViT's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster import clock
from pixelcluster.errors import PixelClusterError
from pixelcluster.progress import Progress, silent
from pixelcluster.seeding import seeded
from pixelcluster.targets.base import LinearStack
from pixelcluster.targets.encoder import EncoderStack
from pixelcluster.targets.grid import cell_rows
from pixelcluster.targets.linear_maps import principal_components

_N_CODES = 70
_CELLS = 121
"""Cells drawn of an image and step."""
_BATCH = 16
_NEIGHBOURS = 7
_RATE = 5e-4
_ITSELF, _NEIGHBOUR, _RANDOM = (0.67, 0.18), (0.25, 0.12), (0.63, 0.46)
"""Weight of the pairs, and b."""


class CorrespondenceStack(LinearStack):
    """Leading principal components of the codes of unit length. Learned on images of one kind, tens at least.

    Args:
        label_stride: pixels a label cell and axis.
        steps: of the head's training, some 30 ms each on one CPU thread.
        n_components: D at most.
        encoder: name, layers, scales, flip and batch_size of the `EncoderStack` below.

    Raises:
        PixelClusterError: as `EncoderStack`, or fewer steps than 1.
    """

    def __init__(
        self,
        label_stride: int,
        *,
        steps: int = 4000,
        n_components: int = 32,
        **encoder: Any,
    ) -> None:
        if steps < 1:
            raise PixelClusterError(f"correspondence wants 1 step or more, got {steps}")
        super().__init__(_N_CODES, n_components, label_stride)
        self.steps = steps
        self.features = EncoderStack(label_stride, **encoder)
        with seeded(0):
            self.head = Head(self.features.n_channels).requires_grad_(False)

    def learn(
        self,
        images: Sequence[Tensor],
        masks: Sequence[Tensor] | None,
        *,
        seed: int,
        deadline: float,
        progress: Progress,
    ) -> Iterable[Tensor]:
        """Learn the statistics of the features, then the head."""
        device = self.mean.device
        features = self.features.fit_transform(images, masks=masks, seed=seed, progress=progress)
        of_images = [None] * len(features) if masks is None else masks
        rows = [cell_rows(*pair, self.label_stride) for pair in zip(features, of_images, strict=True)]
        used = [own for own in rows if len(own)]
        head, _ = train_head(used, self.steps, seed=seed, device=device, deadline=deadline, progress=progress)
        self.head.load_state_dict(head.state_dict())
        return (self._codes(own[None].to(device)) for own in features)

    def raw(self, images: Tensor) -> Tensor:
        """Return codes of unit length, (B, 70, h, w)."""
        return self._codes(self.features(images))

    def linear_map(self, covariance: Tensor) -> Tensor:
        """Return the leading principal components on one scale."""
        return principal_components(covariance, self.n_channels)

    def _codes(self, features: Tensor) -> Tensor:
        """Return codes (B, 70, h, w) of features (B, D, h, w)."""
        return unit_codes(self.head, features.movedim(1, -1)).movedim(-1, 1)


class Head(nn.Module):
    """s = A f + B relu(C f) of features (..., D): (..., 70)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_channels, _N_CODES)
        self.bent = nn.Sequential(
            nn.Linear(n_channels, n_channels), nn.ReLU(), nn.Linear(n_channels, _N_CODES)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return s."""
        codes: Tensor = self.linear(features) + self.bent(features)
        return codes


def unit_codes(head: Head, features: Tensor) -> Tensor:
    """Return codes of unit length (..., 70) of features (..., D)."""
    return functional.normalize(head(features), dim=-1)


def train_head(
    rows: Sequence[Tensor],
    steps: int,
    *,
    seed: int,
    device: torch.device,
    deadline: float = math.inf,
    progress: Progress = silent,
) -> tuple[Head, list[float]]:
    """Return a head and its loss at every step.

    Args:
        rows: features (P, D) of each image, P >= 1 of its own, on the CPU.
        steps: at most; at least one is taken.
        seed: of weights, pairs and cells.
        device: where to compute.
        deadline: `clock.now()` to end at.
        progress: told after each step.

    Raises:
        PixelClusterError: no image, or a loss that is not finite.
    """
    if not rows:
        raise PixelClusterError("no label cell is used by the masks; give masks with more pixels, or none")
    rng = np.random.default_rng(seed)
    with seeded(seed):
        head = Head(rows[0].shape[1]).to(device)
    optimiser = torch.optim.Adam(head.parameters(), _RATE)
    near = _nearest(rows)
    losses: list[float] = []
    while len(losses) < steps and not (losses and clock.now() > deadline):
        own = rng.integers(len(rows), size=_BATCH)
        neighbours = near[own, rng.integers(near.shape[1], size=_BATCH)]
        others = (own + rng.integers(1, max(len(rows), 2), size=_BATCH)) % len(rows)
        first = _drawn(rows, own, rng).to(device)
        with torch.enable_grad():
            first_codes, loss = head(first), first.new_zeros(())
            for chosen, (weight, shift) in (
                (own, _ITSELF),
                (neighbours, _NEIGHBOUR),
                (others, _RANDOM),
            ):
                second = _drawn(rows, chosen, rng).to(device)
                loss = loss + weight * correspondence_loss(first, second, first_codes, head(second), shift)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
        if not np.isfinite(losses[-1]):
            raise PixelClusterError(f"loss is {losses[-1]} at step {len(losses)}; give images in [0, 1]")
        progress({"phase": "learning correspondences", "share": len(losses) / steps})
    return head, losses


def correspondence_loss(
    first: Tensor, second: Tensor, first_codes: Tensor, second_codes: Tensor, shift: float
) -> Tensor:
    """Return -mean (F - b) max(S, 0) over pairs of cells, eq. 4.

    Args:
        first: features (B, P, D).
        second: features (B, Q, D).
        first_codes: s of the first, (B, P, C).
        second_codes: s of the second, (B, Q, C).
        shift: b.
    """
    features, codes = (
        functional.normalize(a, dim=2) @ functional.normalize(b, dim=2).transpose(1, 2)
        for a, b in ((first, second), (first_codes, second_codes))
    )
    centred = features - features.mean(2, keepdim=True) + features.mean()
    return -((centred - shift) * codes.clamp_min(0)).mean()


def _drawn(rows: Sequence[Tensor], chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Return random cells of the chosen images, (B, P, D)."""
    return torch.stack([rows[index][rng.integers(len(rows[index]), size=_CELLS)].float() for index in chosen])


def _nearest(rows: Sequence[Tensor]) -> np.ndarray:
    """Return the images nearest to each by the cosine of their mean features, itself left out, (N, n)."""
    means = functional.normalize(torch.stack([own.float().mean(0) for own in rows]), dim=1)
    if len(rows) == 1:
        return np.zeros((1, 1), dtype=np.int64)
    likeness = (means @ means.T).fill_diagonal_(-2.0)
    nearest: np.ndarray = likeness.topk(min(_NEIGHBOURS, len(rows) - 1)).indices.numpy()
    return nearest
