"""Images with planted labels."""

from __future__ import annotations

import numpy as np
import torch

from pixelcluster.config import RunConfig
from pixelcluster.config_file import parse_config
from pixelcluster.training.build import TrainingImage

MEANS = torch.tensor([[1.5, 0.0, -1.0], [-1.5, 1.0, 0.0], [0.0, -1.5, 1.0]])


def settings(**changes: object) -> RunConfig:
    """A quick run without student on the texture stack; sections given here win over it."""
    values: dict[str, object] = {
        "n_clusters": 3,
        "targets": {"stack": "texture"},
        "student": {"enabled": False},
        "training": {"restarts": 1, "epochs": 8, "batch_size": 4, "start": "kmeans"},
        "sampler": {"inference_rounds": 6},
    }
    for key, value in changes.items():
        old = values.get(key)
        values[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return parse_config(values)


def textures(n_images: int, side: int = 96, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Bands of three textures of one mean colour, in any order, at any brightness: images and labels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    waves = [np.sin(columns * np.pi / 2 + 0.5), np.sin(rows * np.pi / 2 + 0.5), np.zeros((side, side))]
    images, labels = [], []
    for _ in range(n_images):
        cuts = np.sort(side * (np.array([1, 2]) / 3 + rng.uniform(-0.06, 0.06, 2)))
        along = rows if rng.random() < 0.5 else columns
        band = np.digitize(along, cuts)
        label = rng.permutation(3)[band]
        grey = 0.5 + rng.uniform(-0.1, 0.1) + 0.2 * np.choose(label, waves) + rng.normal(0, 0.02, label.shape)
        images.append(np.repeat(grey[..., None], 3, axis=2).clip(0, 1).astype(np.float32))
        labels.append(label.astype(np.uint8))
    return images, labels


def cells(
    n_images: int, size: tuple[int, int] = (12, 16), noise: float = 0.3, offset: float = 0.2, seed: int = 0
):
    """Training images of three clusters, plainly apart, and their labels (h, w)."""
    random = torch.Generator().manual_seed(seed)
    images, labels = [], []
    for _ in range(n_images):
        coarse = torch.randint(3, (size[0] // 4, size[1] // 4), generator=random)
        label = coarse.repeat_interleave(4, 0).repeat_interleave(4, 1)
        x = MEANS[label].permute(2, 0, 1)
        x = (
            x
            + noise * torch.randn(x.shape, generator=random)
            + offset * torch.randn(3, 1, 1, generator=random)
        )
        images.append(
            TrainingImage(x, torch.ones(label.shape, dtype=torch.bool), torch.rand(3, *label.shape))
        )
        labels.append(label)
    return images, labels
