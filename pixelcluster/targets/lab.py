"""Target stack `lab`: colour in which distance is about the perceived one; a partner of `patches`."""

from __future__ import annotations

from torch import Tensor

from pixelcluster.targets.base import LinearStack
from pixelcluster.targets.colour import rgb_to_lab
from pixelcluster.targets.grid import to_grid
from pixelcluster.targets.linear_maps import common_scale


class LabStack(LinearStack):
    """Mean CIE Lab of each label cell, three channels on one scale.

    Args:
        label_stride: pixels a label cell and axis.
    """

    def __init__(self, label_stride: int) -> None:
        super().__init__(3, 3, label_stride)

    def raw(self, images: Tensor) -> Tensor:
        """Return cell means (B, 3, h, w)."""
        return to_grid(rgb_to_lab(images), self.label_stride)

    def linear_map(self, covariance: Tensor) -> Tensor:
        """Return one scale for all channels."""
        return common_scale(covariance)
