"""A training run from the outside: folder in, model folder out, with a sheet of samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.read import list_images
from pixelcluster.io.write import atomic_write, make_folder
from pixelcluster.render.grid import contact_sheet

if TYPE_CHECKING:
    from pixelcluster.estimator import PixelCluster

N_SAMPLES = 12


@dataclass(frozen=True)
class Training:
    """What to train; each None leaves the choice to the configuration."""

    n_clusters: int | Literal["auto"] | None = None
    stack: str | None = None
    config: Path | None = None
    minutes: float | None = None
    seed: int = 0
    device: str = "auto"


def train_folder(
    folder: Path,
    output: Path,
    training: Training,
    *,
    overwrite: bool = False,
    progress: Callable[[Mapping[str, object]], None] | None = None,
) -> PixelCluster:
    """Fit a model on a folder of images, save it, and draw what it does.

    Args:
        folder: images of any sizes, searched recursively.
        output: model folder to write; it gets safetensors, config.yaml, metrics.jsonl and samples.png.
        training: what to train.
        overwrite: allow an output folder that holds files already.
        progress: called now and then with step, objective, shares, steps_per_second, seconds_left.

    Returns:
        The fitted model.

    Raises:
        PixelClusterError: no images, or an output folder that is not empty.
    """
    if os.path.exists(output) and not os.path.isdir(output):
        raise PixelClusterError(
            f"{show_path(output)}: is a file, but a folder is wanted for the model; choose another -o"
        )
    if os.path.isdir(output) and any(output.iterdir()) and not overwrite:
        raise PixelClusterError(
            f"{show_path(output)}: folder is not empty; allow replacing the model with --overwrite"
        )
    if not os.path.isdir(folder):
        raise PixelClusterError(f"{show_path(folder)}: is no folder; training wants a folder of images")
    images = list_images([folder])
    make_folder(output)  # before the hours of training: a read-only disk is found out now

    from pixelcluster.estimator import PixelCluster

    model = PixelCluster(
        n_clusters=training.n_clusters,
        stack=training.stack,
        config=training.config,
        seed=training.seed,
        device=training.device,
    )
    model.fit(folder, minutes=training.minutes, progress=progress)
    model.save(output)
    with atomic_write(output / "samples.png", overwrite=True) as temporary:
        sample_sheet(model, images).save(temporary, "PNG")
    return model


def sample_sheet(model: PixelCluster, images: list[Path]) -> Image.Image:
    """Segment images spread evenly over the list and lay them out.

    Args:
        model: fitted.
        images: paths; those that cannot be read are left out.

    Returns:
        The contact sheet with one legend for all.

    Raises:
        PixelClusterError: none of the images can be read.
    """
    pairs, shares, palette = [], [], None
    picks = np.unique(np.linspace(0, len(images) - 1, min(N_SAMPLES, len(images))).round().astype(int))
    for i in picks:
        try:
            result = model.predict(images[i], mode="fast")
        except PixelClusterError:  # fit has already told of it
            continue
        picture = Image.fromarray((result.image * 255 + 0.5).astype(np.uint8))
        pairs.append((picture, result.overlay(0.55, legend=False)))
        shares.append(result.shares())
        palette = result.palette
    return contact_sheet(pairs, palette=palette, shares=np.mean(shares, axis=0).tolist() if shares else None)
