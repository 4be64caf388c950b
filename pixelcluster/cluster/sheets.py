"""Pictures of an image-level model: a contact sheet of a cluster, and images it generates."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pixelcluster.cluster.model import ImageModel
from pixelcluster.cluster.results import log_margins

_GAP = 2
_PAPER = 255
_MOST = 100
"""Images on a sheet at most; where a cluster has more, half of these are typical ones, half uncertain."""


def tile(images: NDArray[np.uint8], columns: int, scale: int = 2) -> Image.Image:
    """Return images (N, H, W, C) uint8 in rows of `columns`, each enlarged `scale` times."""
    n_images, height, width, channels = images.shape
    rows = -(-n_images // columns)
    canvas = np.full(
        (rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, channels), _PAPER, np.uint8
    )
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + _GAP), column * (width + _GAP)
        canvas[top : top + height, left : left + width] = image
    picture = Image.fromarray(canvas[..., 0] if channels == 1 else canvas)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def cluster_sheet(
    images: Tensor,
    probabilities: NDArray[np.float32],
    typicality: NDArray[np.float32],
    cluster: int,
) -> Image.Image | None:
    """Return a sheet of a cluster's images, the least certain last; None if it is empty.

    Where there are more than 100, the 50 most typical come first, then the 50 least certain of the others.

    Args:
        images: (N, C, S, S) uint8.
        probabilities: (N, K). Most of the best round to 1: certainty is their margin over the second best.
        typicality: (N,), higher is more typical.
        cluster: which.
    """
    members = np.flatnonzero(probabilities.argmax(1) == cluster)
    if not len(members):
        return None
    by_doubt = members[np.argsort(-log_margins(probabilities[members]), kind="stable")]
    if len(members) > _MOST:
        first = members[np.argsort(-typicality[members], kind="stable")][: _MOST // 2]
        rest = by_doubt[~np.isin(by_doubt, first)][-(_MOST // 2) :]
        chosen = np.concatenate([first, rest])
    else:
        chosen = by_doubt
    return tile(images[torch.from_numpy(chosen)].permute(0, 2, 3, 1).numpy(), columns=10)


@torch.no_grad()
def generated(model: ImageModel, z: Tensor, labels: Tensor) -> NDArray[np.uint8]:
    """Return images (N, R, R, C) uint8 that the generator makes of z (N, d) and labels (N,)."""
    device = next(model.recognition.parameters()).device
    drawn = model.generator.mean(z.to(device), labels.to(device)).clamp(0, 1).cpu()
    side = model.settings.side
    if drawn.shape[-1] < side:
        drawn = torch.nn.functional.interpolate(drawn, size=side, mode="bicubic").clamp(0, 1)
    return (drawn * 255).round().byte().permute(0, 2, 3, 1).numpy()


def shared_grid(
    model: ImageModel, count: int, *, rows: str, columns: str, seed: int, direction: int = 0
) -> Image.Image:
    """Return the grid of the paper's figure 2: what a row shares and what a column shares.

    Args:
        model: fitted.
        count: different z (steps, where columns is "sweep").
        rows: "z" or "y".
        columns: "y", "z" or "sweep": z moves from -3 to 3 along one direction, y is the row's.
        seed: of z.
        direction: entry of z that a sweep moves.
    """
    n_clusters, n_latent = len(model.proportions), model.generator.n_latent
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(count, n_latent, generator=random)
    if columns == "sweep":
        z = torch.zeros(count, n_latent)
        z[:, direction] = torch.linspace(-3, 3, count)
    labels, latents = torch.meshgrid(torch.arange(n_clusters), torch.arange(count), indexing="ij")
    if rows == "z":
        labels, latents = labels.T, latents.T
    pictures = generated(model, z[latents.flatten()], labels.flatten())
    return tile(pictures, columns=labels.shape[1])
