"""Features of shape for the graph of images: gradient histograms in a frame of moments.

The frame is the one of second moments: centre of mass, upright slant, height and width of one standard
deviation. Mass is the distance of a pixel from the border's median, so that dark on light, light on dark and
colour are alike.

Sources: LeCun et al., Gradient-based learning applied to document recognition, 1998 (slant); Dalal and
Triggs, Histograms of oriented gradients, CVPR 2005.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_SIDE = 28
_CELL = 4
_N_BINS = 9
_N_COMPONENTS = 128
_SPREAD = (0.15, 0.2)
"""Standard deviations of mass across and along in the frame, parts of the side."""
_STRETCH = (0.4, 1.6)
"""A stroke is not blown up to a blob."""
_NOISE = 4.0
"""Median absolute deviations of the border that are no mass."""
_BLUR = 1.0
"""Pixels; gradients of thin strokes are rounded off."""


def shape_descriptors(images: Tensor) -> Tensor:
    """Return gradient histograms (N, 1296) of images (N, C, S, S) float, in their frames of moments."""
    mass = foreground(images)
    framed = functional.grid_sample(
        mass, moment_frames(mass, _SIDE), mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return gradient_histograms(_blur(framed))


def foreground(images: Tensor) -> Tensor:
    """Return the distance from the border's median beyond its noise, (N, 1, S, S), of (N, C, S, S)."""
    border = torch.cat([images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]], dim=-1)
    median = border.median(dim=-1, keepdim=True).values
    noise = (border - median).abs().median(dim=-1, keepdim=True).values
    distance = (images - median[..., None]).abs() - _NOISE * noise[..., None]
    return distance.clamp_min(0).amax(dim=1, keepdim=True)


def moment_frames(mass: Tensor, side: int) -> Tensor:
    """Return sampling grids (N, side, side, 2) of the frames of masses (N, 1, S, S), as `grid_sample` wants.

    x = cx + wide u + slant tall v,  y = cy + tall v: after it a mass is centred, upright and of one size.
    """
    size = mass.shape[-1]
    axis = (torch.arange(size, device=mass.device) + 0.5) / size * 2 - 1
    weights = mass[:, 0] / mass.sum((1, 2, 3)).clamp_min(1e-6)[:, None, None]
    across, along = weights.sum(1), weights.sum(2)  # marginals over columns and rows
    cx, cy = (across @ axis)[:, None], (along @ axis)[:, None]
    dx, dy = axis - cx, axis - cy
    xx, yy = (across * dx**2).sum(1), (along * dy**2).sum(1).clamp_min(1e-3)
    xy = torch.einsum("nij,nj,ni->n", weights, dx, dy)
    slant = xy / yy
    wide = ((xx - slant**2 * yy).clamp_min(0).sqrt() / (2 * _SPREAD[0])).clamp(*_STRETCH)
    tall = (yy.sqrt() / (2 * _SPREAD[1])).clamp(*_STRETCH)
    matrix = torch.zeros(len(mass), 2, 3, device=mass.device)
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 0, 2] = wide, slant * tall, cx[:, 0]
    matrix[:, 1, 1], matrix[:, 1, 2] = tall, cy[:, 0]
    return functional.affine_grid(matrix, [len(mass), 1, side, side], align_corners=False)


def gradient_histograms(images: Tensor) -> Tensor:
    """Return histograms of unsigned gradient orientation, block-normalised, of grey images (N, 1, S, S)."""
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    gx = padded[:, 0, 1:-1, 2:] - padded[:, 0, 1:-1, :-2]
    gy = padded[:, 0, 2:, 1:-1] - padded[:, 0, :-2, 1:-1]
    position = (torch.atan2(gy, gx) % math.pi) / math.pi * _N_BINS
    lower = position.floor()
    strength, share = (gx**2 + gy**2).sqrt(), position - lower
    votes = images.new_zeros(len(images), _N_BINS, *gx.shape[1:])
    for index, part in ((lower, 1 - share), (lower + 1, share)):
        votes.scatter_add_(1, index.long()[:, None] % _N_BINS, (strength * part)[:, None])
    blocks = functional.unfold(functional.avg_pool2d(votes, _CELL), 2)  # (N, 4 bins, blocks)
    blocks = (blocks / (blocks.norm(dim=1, keepdim=True) + 0.05)).clamp_max(0.2)
    return functional.normalize(blocks.flatten(1), dim=1)


def _blur(images: Tensor) -> Tensor:
    """Return images (N, 1, S, S) under a Gaussian."""
    offsets = torch.arange(-3, 4, device=images.device)
    kernel = torch.exp(-(offsets**2) / (2 * _BLUR**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    return functional.conv2d(
        functional.conv2d(images, kernel, padding=(0, 3)), kernel.transpose(2, 3), padding=(3, 0)
    )


def principal_axes(descriptors: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (F,) and the leading axes (F, at most 128) of descriptors (N, F)."""
    mean = descriptors.mean(0)
    centred = descriptors - mean
    if len(centred) <= centred.shape[1]:
        axes = torch.linalg.svd(centred, full_matrices=False).Vh.T
        return mean, axes[:, :_N_COMPONENTS].contiguous()
    axes = torch.linalg.eigh((centred.T @ centred).double()).eigenvectors.float()
    return mean, axes[:, -_N_COMPONENTS:].contiguous()


def nearest(
    queries: Tensor, references: Tensor, count: int, *, skip_self: bool = False
) -> tuple[Tensor, Tensor]:
    """Return indices and squared distances, (M, count), of the nearest references (N, F) of queries (M, F).

    Args:
        queries: (M, F).
        references: (N, F).
        count: neighbours wanted, below N.
        skip_self: queries are the references, and nobody is their own neighbour.
    """
    norms = references.square().sum(1)
    indices, distances = [], []
    for start in range(0, len(queries), 1000):
        part = queries[start : start + 1000]
        squared = torch.addmm(norms, part, references.T, alpha=-2)
        if skip_self:
            rows = torch.arange(len(part), device=part.device)
            squared[rows, start + rows] = torch.inf
        found = squared.topk(count, largest=False)
        indices.append(found.indices)
        distances.append((found.values + part.square().sum(1, keepdim=True)).clamp_min(0))
    return torch.cat(indices), torch.cat(distances)
