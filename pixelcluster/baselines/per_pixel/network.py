"""The small convolutional trunk of the rivals that learn features, and its input.

The rivals' own networks (VGG-11, AlexNet) need days on a CPU. One trunk for all keeps the comparison about
the objectives: five convolutions, stride 4, about 100,000 weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.baselines.base import FloatImage, LabelMap
from pixelcluster.targets.sobel import grey, sobel

INPUT_CHANNELS = {3: 5, 4: 4}
"""Channels of `network_input` by those of the images."""
STRIDE = 4
"""Pixels a cell of a trunk's output and axis."""
WIDTH = 64
"""Channels of a trunk's output."""


class Trunk(nn.Sequential):
    """Images to features: two convolutions of stride 2, then one a dilation, each with batch norm and ReLU.

    Args:
        in_channels: of the input.
        dilations: of the convolutions at stride 4; the receptive field is 7 + 8 * sum(dilations) px.
    """

    def __init__(self, in_channels: int, dilations: Sequence[int] = (1, 2, 4)) -> None:
        layers: list[nn.Module] = [*_block(in_channels, WIDTH // 2, 2, 1), *_block(WIDTH // 2, WIDTH, 2, 1)]
        for dilation in dilations:
            layers += _block(WIDTH, WIDTH, 1, dilation)
        super().__init__(*layers)


def _block(n_in: int, n_out: int, stride: int, dilation: int) -> list[nn.Module]:
    """Return convolution, batch norm and ReLU; zero padding keeps ceil(side / stride)."""
    convolution = nn.Conv2d(n_in, n_out, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return [convolution, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]


def network_input(images: Tensor) -> Tensor:
    """Return what the protocols of Ji et al., ICCV 2019, let a network see.

    Args:
        images: (B, 3, H, W) RGB, or (B, 4, H, W) RGB and infrared.

    Returns:
        Of RGB, as for COCO-Stuff: RGB and Sobel x, y of grey, (B, 5, H, W). Of RGB and infrared, as for
        Potsdam: these four channels and no Sobel.
    """
    return images if images.shape[1] == 4 else torch.cat([images, sobel(grey(images))], 1)


def grow(values: Tensor, size: Sequence[int]) -> Tensor:
    """Return values (B, C, h, w) at stride 4 grown bilinearly to (B, C, H, W) pixels."""
    height, width = (side * STRIDE for side in values.shape[2:])
    grown = functional.interpolate(values, size=(height, width), mode="bilinear", align_corners=False)
    # Cells stand at multiples of the stride, so a side that is none is cut, not squeezed.
    return grown[:, :, : size[0], : size[1]]


def as_tensor(images: Sequence[FloatImage]) -> Tensor:
    """Return (B, C, H, W) of images (H, W, C) of one size."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def largest(scores: Tensor, size: Sequence[int]) -> LabelMap:
    """Return the label map (H, W) int32 of scores (1, K, h, w): grown bilinearly, then the largest."""
    labels: LabelMap = grow(scores, size)[0].argmax(0).to("cpu", torch.int32).numpy()
    return labels
