"""Target stack `sobel`: colour and Sobel gradients of grey, the input of the segmentation protocols."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pixelcluster.targets.base import LinearStack
from pixelcluster.targets.grid import to_grid
from pixelcluster.targets.linear_maps import common_scale

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
_SOBEL_X = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))


class SobelStack(LinearStack):
    """RGB and Sobel x, y of grey (grey itself dropped), on one scale, averaged over label cells.

    Args:
        label_stride: pixels a label cell and axis.

    Source: the protocol of Ji et al., Invariant information clustering, ICCV 2019.
    """

    def __init__(self, label_stride: int) -> None:
        super().__init__(5, 5, label_stride)

    def raw(self, images: Tensor) -> Tensor:
        """Return cell means (B, 5, h, w)."""
        return to_grid(torch.cat([images, sobel(grey(images))], 1), self.label_stride)

    def linear_map(self, covariance: Tensor) -> Tensor:
        """Return one scale: gradients keep the weight against colour that the protocol gives them."""
        return common_scale(covariance)


def grey(images: Tensor) -> Tensor:
    """Return grey (B, 1, H, W) of RGB (B, 3, H, W), in the same units."""
    return (images * images.new_tensor(_GREY)[:, None, None]).sum(1, keepdim=True)


def sobel(values: Tensor) -> Tensor:
    """Return the responses (B, 2, H, W) of values (B, 1, H, W) to [1 0 -1; 2 0 -2; 1 0 -1] and its transpose.

    Kernels are not flipped (cross-correlation); outside the image values are 0, as in the protocol.
    """
    kernel = values.new_tensor(_SOBEL_X)
    return functional.conv2d(values, torch.stack([kernel, kernel.T])[:, None], padding=1)
