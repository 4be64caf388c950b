"""STEGO: a small head on frozen features whose correspondences it makes sharper, then K-means by cosine.

Source: Hamilton, Zhang, Hariharan, Snavely and Freeman, Unsupervised semantic segmentation by distilling
feature correspondences, ICLR 2022. With f of the encoder and s of the head, cells p of one image and q of
another (itself, one of its nearest neighbours, a random one):

    F_pq = cos(f_p, f_q), less its mean over q (eq. 3), plus its mean over all pairs (the authors' code);
    loss = -mean_pq (F_pq - b) max(cos(s_p, s_q), 0)

weighted over the three kinds of pairs (eq. 4); neighbours by the mean feature of an image.

Deviations: features of `targets.encoder` instead of a ViT's; K-means instead of the cosine cluster layer
trained beside the head; no CRF. Weights and shifts b are the defaults of the authors' code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster import clock
from pixelcluster.baselines.base import FloatImage, Mask
from pixelcluster.baselines.per_pixel.encoder_kmeans import EncoderKMeans
from pixelcluster.baselines.per_pixel.features import feature_rows
from pixelcluster.errors import PixelClusterError
from pixelcluster.seeding import seeded

_WIDTH = 70
_CELLS = 121
"""Cells drawn of an image and step."""
_BATCH = 16
_NEIGHBOURS = 7
_RATE = 5e-4
_ITSELF, _NEIGHBOUR, _RANDOM = (0.67, 0.18), (0.25, 0.12), (0.63, 0.46)
"""Weight of the pairs, and b."""


class Head(nn.Module):
    """s = A f + B relu(C f) of features (..., D): (..., 70)."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_channels, _WIDTH)
        self.bent = nn.Sequential(nn.Linear(n_channels, n_channels), nn.ReLU(), nn.Linear(n_channels, _WIDTH))

    def forward(self, features: Tensor) -> Tensor:
        """Return s."""
        codes: Tensor = self.linear(features) + self.bent(features)
        return codes


@dataclass(eq=False)
class Stego(EncoderKMeans):
    """STEGO on all images together.

    Args:
        n_clusters: K.
        seed: of weights, pairs and cells.
        device: "auto", "cpu" or "cuda".
        minutes: time budget of the training; at least one step is taken.
        steps: at most.

    Attributes:
        losses_: the objective of every step, to be minimised.
    """

    _: KW_ONLY
    steps: int = 5000

    def learn(self, images: Sequence[tuple[FloatImage, Mask]], deadline: float) -> None:
        """Train the head on the features of unmasked cells.

        Raises:
            PixelClusterError: a loss that is not finite.
        """
        rows = [
            torch.from_numpy(own).half()
            for own in feature_rows(super().codes, images, self.device_)
            if len(own)
        ]
        with seeded(self.seed):
            self.head_ = Head(self.stack_.n_channels).to(self.device_)
        self.losses_ = self._train(rows, deadline)

    def codes(self, images: Tensor) -> Tensor:
        """Return s of length 1, (B, 70, h, w) at stride 4."""
        codes = self.head_(super().codes(images).permute(0, 2, 3, 1))
        return functional.normalize(codes, dim=-1).permute(0, 3, 1, 2)

    def _train(self, rows: Sequence[Tensor], deadline: float) -> list[float]:
        """Return the losses; `rows` holds the features (P, D) of the used cells of every image."""
        rng = np.random.default_rng(self.seed)
        optimiser = torch.optim.Adam(self.head_.parameters(), _RATE)
        near = _nearest(rows)
        losses: list[float] = []
        while len(losses) < self.steps and not (losses and clock.now() > deadline):
            own = rng.integers(len(rows), size=_BATCH)
            neighbours = near[own, rng.integers(near.shape[1], size=_BATCH)]
            others = (own + rng.integers(1, max(len(rows), 2), size=_BATCH)) % len(rows)
            first = self._drawn(rows, own, rng)
            loss = first.new_zeros(())
            for chosen, (weight, shift) in (
                (own, _ITSELF),
                (neighbours, _NEIGHBOUR),
                (others, _RANDOM),
            ):
                second = self._drawn(rows, chosen, rng)
                loss = loss + weight * correspondence_loss(
                    first, second, self.head_(first), self.head_(second), shift
                )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
            if not np.isfinite(losses[-1]):
                raise PixelClusterError(f"loss is {losses[-1]} at step {len(losses)}; give images in [0, 1]")
        return losses

    def _drawn(self, rows: Sequence[Tensor], chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Return random cells of the chosen images, (B, P, D)."""
        drawn = [rows[index][rng.integers(len(rows[index]), size=_CELLS)] for index in chosen]
        return torch.stack(drawn).to(self.device_, torch.float32)


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


def _nearest(rows: Sequence[Tensor]) -> np.ndarray:
    """Return the images nearest to each by the cosine of their mean features, itself left out, (N, n)."""
    means = functional.normalize(torch.stack([own.float().mean(0) for own in rows]), dim=1)
    if len(rows) == 1:
        return np.zeros((1, 1), dtype=np.int64)
    likeness = (means @ means.T).fill_diagonal_(-2.0)
    nearest: np.ndarray = likeness.topk(min(_NEIGHBOURS, len(rows) - 1)).indices.numpy()
    return nearest
