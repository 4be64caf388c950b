"""Random changes of a batch that keep the class: affine and elastic warps, colour jitter, on torch tensors.

`data.augment` changes single images through albumentations; a batch of small images is warped here at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_KNOTS = 4
"""Of the elastic field, an axis."""


@dataclass(frozen=True)
class ViewSettings:
    """Largest changes.

    Args:
        rotation: radians either way.
        log_scale: of either axis, natural logarithm.
        shear: off-diagonal term.
        shift: in half sides.
        elastic: standard deviation of the field's knots, in half sides.
        jitter: of brightness (additive, halved), contrast and each channel's gain, of colour images.
    """

    rotation: float = 0.35
    log_scale: float = 0.2
    shear: float = 0.3
    shift: float = 0.15
    elastic: float = 0.06
    jitter: float = 0.3


def random_grid(images: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """Return sampling grids (B, H, W, 2) for `warp`, one random warp each, for images (B, C, H, W)."""
    n, device = len(images), images.device
    draws = 2 * torch.rand((n, 6), generator=generator, device=device) - 1
    angle, shear = draws[:, 0] * settings.rotation, draws[:, 1] * settings.shear
    scale = (draws[:, 2:4] * settings.log_scale).exp()
    cos, sin = angle.cos(), angle.sin()
    row_x = torch.stack([cos * scale[:, 0], (shear - sin) * scale[:, 0], draws[:, 4] * settings.shift], 1)
    row_y = torch.stack([sin * scale[:, 1], cos * scale[:, 1], draws[:, 5] * settings.shift], 1)
    grid = functional.affine_grid(torch.stack([row_x, row_y], 1), list(images.shape), align_corners=False)
    if settings.elastic > 0:
        knots = torch.randn((n, 2, _KNOTS, _KNOTS), generator=generator, device=device) * settings.elastic
        field = functional.interpolate(knots, size=images.shape[2:], mode="bicubic", align_corners=False)
        grid = grid + field.permute(0, 2, 3, 1)
    return grid


def warp(images: Tensor, grid: Tensor) -> Tensor:
    """Return images (B, C, H, W) read at a grid (B, h, w, 2), bilinear; outside, the border goes on."""
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def jitter(images: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """Return images (B, 3, H, W) in [0, 1] with brightness, contrast and channel gains changed."""
    draws = 2 * torch.rand((len(images), 5), generator=generator, device=images.device) - 1
    draws = (draws * settings.jitter)[:, :, None, None]
    mean = images.mean((1, 2, 3), keepdim=True)
    changed = (images - mean) * draws[:, :1].exp() + mean + draws[:, 1:2] / 2
    return (changed * draws[:, 2:].exp()).clamp(0, 1)


def random_view(images: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """Return a changed view (B, C, H, W) of images (B, C, H, W) in [0, 1]."""
    warped = warp(images, random_grid(images, settings, generator))
    return jitter(warped, settings, generator) if images.shape[1] == 3 else warped
