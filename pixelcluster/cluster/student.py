"""The student of the 1 x 1 case: a small network that learns the labels of the fit under views.

A view is the image under a random affine map and warp of `model.transform`: what the generator calls
geometry is what the student learns to ignore. Alone it is the fast mode.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster import clock
from pixelcluster.model.transform import sampling_basis
from pixelcluster.progress import Pace, Progress

_WARP_GRID = 4
_STRENGTH = 0.7
"""Standard deviation of a view's map and warp, in units of the generator's at its start."""
_BATCH = 128
_RATE = 2e-3


class ImageStudent(nn.Module):
    """Images (B, C, S, S) in [0, 1] to logits of labels (B, K).

    Args:
        n_clusters: K.
        channels: C.
        side: S in pixels.
        seed: seeds the weights.
    """

    def __init__(self, n_clusters: int, channels: int, side: int, *, seed: int = 0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, stride in ((channels, 32, 2), (32, 64, 1), (64, 128, 2), (128, 128, 2)):
            layers += [
                nn.Conv2d(before, after, 3, stride, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(4 * 128, n_clusters)
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, (nn.Conv2d, nn.Linear)):
                    layer.weight.normal_(0, (2 / layer.weight[0].numel()) ** 0.5, generator=random)
            self.head.bias.zero_()  # torch draws it from the global stream

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.body(images))
        return logits


def fit_student(
    images: Tensor,
    probabilities: Tensor,
    epochs: int,
    *,
    seed: int,
    device: torch.device,
    deadline: float = math.inf,
    progress: Progress | None = None,
) -> ImageStudent | None:
    """Return a student of the labels of a fit; None where the time leaves it no batch.

    Args:
        images: (N, C, S, S) uint8.
        probabilities: (N, K) of their labels.
        epochs: passes over the images.
        seed: of weights, order and views.
        device: where to compute.
        deadline: `clock.now()` after which no further batch is taken.
        progress: called now and then.
    """
    random = torch.Generator().manual_seed(seed)
    student = ImageStudent(probabilities.shape[1], images.shape[1], images.shape[-1], seed=seed).to(device)
    optimiser = torch.optim.AdamW(student.parameters(), weight_decay=1e-4)
    total = epochs * -(-len(images) // _BATCH)
    step, started, pace = 0, clock.now(), Pace(total, until=deadline)
    student.train()
    for _ in range(epochs):
        for cells in torch.split(torch.randperm(len(images), generator=random), _BATCH):
            if clock.now() > deadline or len(cells) < 2:  # batch statistics want two
                break
            share = max(step / total, (clock.now() - started) / max(deadline - started, 1e-9))
            optimiser.param_groups[0]["lr"] = _RATE * (0.01 + 0.5 + 0.5 * math.cos(math.pi * min(share, 1)))
            seen = random_views(images[cells].to(device).float() / 255, random)
            loss = functional.cross_entropy(student(seen), probabilities[cells].to(device).float())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            step += 1
            if progress is not None and step % 20 == 0:
                progress({"phase": "teaching the student", "share": step / total, **pace.facts(step)})
    return student.eval() if step else None


def random_views(images: Tensor, random: torch.Generator) -> Tensor:
    """Return images (B, C, S, S) under random affine maps and warps."""
    base, basis = sampling_basis(images.shape[-1], _WARP_GRID)
    latent = _STRENGTH * torch.randn(len(images), len(basis), generator=random)
    grid = (base + latent @ basis).view(len(images), *images.shape[-2:], 2).to(images.device)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
