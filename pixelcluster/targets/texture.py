"""Target stack `texture`: Lab, and the local energy and orientation of gradients at several scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from pixelcluster.errors import PixelClusterError
from pixelcluster.targets.base import LinearStack
from pixelcluster.targets.colour import rgb_to_lab
from pixelcluster.targets.grid import to_grid
from pixelcluster.targets.linear_maps import standardise

# Squared gradient, in squared L a pixel, below which a patch counts as flat: the noise of 8-bit photographs.
_FLAT = 0.25
# The window of the structure tensor is this much wider than the scale of the derivative.
_WINDOW = 2.0


class TextureStack(LinearStack):
    """Lab, and for each scale log energy and orientation of the gradient of L; every channel with variance 1.

    Args:
        label_stride: pixels a label cell and axis.
        scales: standard deviations of the Gaussian derivatives, in pixels.

    Source: structure tensor, Bigun and Granlund, ICCV 1987; doubled angles make opposite gradients equal.
    """

    def __init__(self, label_stride: int, *, scales: Sequence[float] = (0.7, 1.5, 3.0)) -> None:
        if not scales or min(scales) <= 0:
            raise PixelClusterError(f"scales are widths in pixels above 0, got {tuple(scales)}")
        n_channels = 3 + 3 * len(scales)
        super().__init__(n_channels, n_channels, label_stride)
        self.scales = tuple(scales)

    def raw(self, images: Tensor) -> Tensor:
        """Return cell means (B, 3 + 3 S, h, w)."""
        lab = rgb_to_lab(images)
        channels = [lab, *(energy_orientation(lab[:, :1], scale) for scale in self.scales)]
        return to_grid(torch.cat(channels, 1), self.label_stride)

    def linear_map(self, covariance: Tensor) -> Tensor:
        """Return a scale a channel."""
        return standardise(covariance)


def energy_orientation(values: Tensor, scale: float) -> Tensor:
    """Describe the local structure tensor of an image.

    Args:
        values: (B, 1, H, W).
        scale: standard deviation of the Gaussian before the derivative, pixels.

    Returns:
        (B, 3, H, W): log(energy + const), and coherence times cos and sin of twice the angle of the gradient,
        both in -1..1 and 0 where the patch is flat or without direction.
    """
    smooth = functional.pad(gaussian_blur(values, scale), (1, 1, 1, 1), mode="replicate")
    dx = (smooth[..., 1:-1, 2:] - smooth[..., 1:-1, :-2]) / 2
    dy = (smooth[..., 2:, 1:-1] - smooth[..., :-2, 1:-1]) / 2
    xx, yy, xy = (gaussian_blur(product, _WINDOW * scale) for product in (dx * dx, dy * dy, dx * dy))
    energy = xx + yy + _FLAT
    return torch.cat([energy.log(), (xx - yy) / energy, 2 * xy / energy], 1)


def gaussian_blur(values: Tensor, sigma: float) -> Tensor:
    """Return values (B, C, H, W) blurred with a Gaussian of `sigma` pixels, edges repeated."""
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
    kernel = (-offsets.square() / (2 * sigma**2)).exp()
    kernel = kernel / kernel.sum()
    planes = values.flatten(0, 1)[:, None]
    padded = functional.pad(planes, (radius, radius, radius, radius), mode="replicate")
    blurred = functional.conv2d(
        functional.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None]
    )
    return blurred.view_as(values)
