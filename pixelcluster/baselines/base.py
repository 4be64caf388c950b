"""The interface every baseline has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
LabelMap = npt.NDArray[np.int32]
Self = TypeVar("Self", bound="PerImageBaseline")


class Baseline(Protocol):
    """Images in, label maps out; a seed, where one is needed, is given to the constructor."""

    def fit(self, images: Sequence[FloatImage], masks: Sequence[Mask] | None = None) -> Baseline:
        """Learn from images (H, W, 3) float32 RGB in [0, 1] without labels.

        Args:
            images: training images of any sizes.
            masks: one (H, W) bool an image, False where a pixel must not be used; None uses all.
        """

    def predict(self, image: FloatImage) -> LabelMap:
        """Return the label map (H, W) int32 of one image."""


class PerImageBaseline:
    """A baseline that treats every image alone: its ids mean nothing across images, fitting does nothing."""

    def fit(self: Self, images: Sequence[FloatImage], masks: Sequence[Mask] | None = None) -> Self:
        """Return self."""
        return self
