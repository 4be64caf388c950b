"""The label-free part of a generator: a convolutional net from the coarse latent field to the label grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Trunk(nn.Module):
    """Small convolutional net from the latent field z (B, d, hz, wz) to features (B, F, h, w).

    A 3 x 3 convolution at the coarse grid, then ceil(log2(stride)) times bilinear upsampling by two and a
    3 x 3 convolution, to the label grid. Without latent channels there are no features (F = 0).

    Args:
        latent_channels: d; 0 switches z off.
        latent_stride: side of a latent cell, in label cells; None: one latent cell per image.
        width: F, channels of all layers.
    """

    def __init__(self, latent_channels: int, latent_stride: int | None, width: int) -> None:
        super().__init__()
        self.latent_channels, self.latent_stride = latent_channels, latent_stride
        self.width = width if latent_channels else 0
        n_stages = math.ceil(math.log2(latent_stride or 1))
        inputs = [latent_channels, *[width] * n_stages] if latent_channels else []
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, width, 3, padding=1) for channels in inputs)
        # On CPU bilinear upsampling is 15 to 30 times faster in this memory format, convolutions a third.
        self.to(memory_format=torch.channels_last)

    def latent_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Return (d, hz, wz) for a label grid of height x width cells."""
        if self.latent_stride is None or self.latent_channels == 0:
            return self.latent_channels, 1, 1
        return self.latent_channels, -(-height // self.latent_stride), -(-width // self.latent_stride)

    def forward(self, z: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the features (B, F, h, w) of z (B, d, hz, wz) at size (h, w), in channels-last memory."""
        if not self.convolutions:
            return z.new_empty(len(z), 0, *size)
        first, *stages = self.convolutions
        field = functional.silu(first(z.contiguous(memory_format=torch.channels_last)))
        for remaining, convolution in zip(reversed(range(len(stages))), stages, strict=True):
            step = 2**remaining
            field = functional.silu(convolution(_resize(field, (-(-size[0] // step), -(-size[1] // step)))))
        return _resize(field, size)


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of all convolutions from N(0, 2 / fan-in), as for rectifiers; biases become zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.weight[0].numel()), generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _resize(field: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the field bilinearly interpolated to size; a 1 x 1 field is repeated."""
    if field.shape[-2:] == size:
        return field
    if field.shape[-2:] == (1, 1):
        return field.expand(-1, -1, *size).contiguous(memory_format=torch.channels_last)
    return functional.interpolate(field, size=size, mode="bilinear", align_corners=False)
