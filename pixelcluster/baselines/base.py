"""The interface of the methods to compare with, and what their fits share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pixelcluster.arguments import check_seed
from pixelcluster.errors import PixelClusterError

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
LabelMap = npt.NDArray[np.int32]
CHANNELS = (3, 4)
"""Of an image: RGB, or RGB and infrared."""
Self = TypeVar("Self", bound="PerImageBaseline")


@dataclass(eq=False)
class Baseline(ABC):
    """Images in, label maps out. Every method takes these arguments and says which of them it has no use for.

    Args:
        n_clusters: K; ids are 0..K-1.
        seed: of everything that is drawn, from 0 to 2^32 - 1.
        device: "auto" (CUDA where there is one), "cpu" or "cuda".
        minutes: time budget of the fit, by `clock.now`; what was reached by then is the result.
    """

    n_clusters: int
    _: KW_ONLY
    seed: int = 0
    device: str = "auto"
    minutes: float = 10.0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    @abstractmethod
    def fit(self, images: Sequence[FloatImage], masks: Sequence[Mask] | None = None) -> Baseline:
        """Learn from images without labels and return the method itself.

        Args:
            images: (H, W, 3) float32 RGB in [0, 1], or (H, W, 4) RGB and infrared; sizes may differ. Methods
                made for colour leave infrared out, see `colour`.
            masks: one (H, W) bool an image, False where a pixel must not be used; None uses all.
        """

    @abstractmethod
    def predict(self, image: FloatImage) -> LabelMap:
        """Return the label map (H, W) int32 of one image."""


class PerImageBaseline(Baseline):
    """A baseline that treats every image, RGB, alone: ids mean nothing across images, a fit does nothing."""

    def fit(self: Self, images: Sequence[FloatImage], masks: Sequence[Mask] | None = None) -> Self:
        """Return self."""
        return self


def colour(image: FloatImage) -> FloatImage:
    """Return the first three channels: all that methods for colour (SIFT, pretrained encoders) can take."""
    return np.ascontiguousarray(image[..., :3])


def check_channels(images: Sequence[FloatImage], wanted: Sequence[int] = CHANNELS) -> None:
    """Refuse images that do not all have the same number of channels, one of `wanted`.

    Raises:
        PixelClusterError: what was got and what was wanted.
    """
    found = sorted({image.shape[2] for image in images})
    if len(found) > 1 or not set(found) <= set(wanted):
        raise PixelClusterError(
            f"images have {' and '.join(map(str, found))} channels, wanted {' or '.join(map(str, wanted))}, "
            "the same for all: RGB (3), or RGB and infrared (4)"
        )


def filled(images: Sequence[FloatImage], masks: Sequence[Mask] | None) -> list[tuple[FloatImage, Mask]]:
    """Return the images to learn from, masked pixels in the mean colour of the others.

    So that windows across a mask's border learn nothing about what is masked.

    Args:
        images: (H, W, C) float32, C as `CHANNELS` and the same for all.
        masks: one (H, W) bool an image, or None for all pixels.

    Returns:
        (image, mask) of every image that has an unmasked pixel.

    Raises:
        PixelClusterError: as many masks as images are wanted and not given, other channels, or no pixel is
            left.
    """
    check_channels(images)
    if masks is not None and len(masks) != len(images):
        raise PixelClusterError(f"{len(masks)} masks for {len(images)} images; give one an image, or none")
    kept = []
    for index, image in enumerate(images):
        mask = np.ones(image.shape[:2], dtype=np.bool_) if masks is None else masks[index]
        if mask.any():
            kept.append((np.where(mask[..., None], image, image[mask].mean(axis=0)), mask))
    if not kept:
        raise PixelClusterError("no usable pixel to learn from; give at least one image with unmasked pixels")
    return kept
