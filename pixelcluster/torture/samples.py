"""Small images, models and files that the sections damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SETTINGS = """\
n_clusters: 3
mode: exact
targets: {stack: rgb, label_stride: 4, image_side: 64}
generator: {latent_channels: 2, latent_stride: 4, width: 8, noise: full}
prior: {rows: 4, concentration: 0.05, potts_weight: 0.4}
sampler: {langevin_steps: 2, gibbs_sweeps: 1, tempering: 2.0, inference_rounds: 2}
training:
  start: kmeans
  restarts: 2
  epochs: 15
  batch_size: 2
student: {enabled: false}
"""
"""A run of about a second."""


def picture(seed: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) of three colours in blobs, with noise."""
    random = np.random.default_rng(seed)
    coarse = random.integers(3, size=(-(-height // 16), -(-width // 16)))
    labels = coarse.repeat(16, 0).repeat(16, 1)[:height, :width]
    colours = np.array([(200, 60, 50), (60, 180, 80), (50, 70, 210)])[labels]
    return (colours + random.normal(0, 12, colours.shape)).clip(0, 255).astype(np.uint8)


def write_pictures(folder: Path, n_images: int, **size: int) -> list[Path]:
    """Write pictures as PNG and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"picture-{index:04}.png" for index in range(n_images)]
    for index, path in enumerate(paths):
        Image.fromarray(picture(index, **size)).save(path)
    return paths


def write_model(folder: Path) -> Path:
    """Train the small model and write it."""
    import yaml

    from pixelcluster.config_file import parse_config
    from pixelcluster.segmenting.estimator import PixelCluster

    config = parse_config(yaml.safe_load(SETTINGS))
    short = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 2})})
    PixelCluster(config=short, device="cpu").fit([picture(seed) for seed in range(4)]).save(folder)
    return folder
