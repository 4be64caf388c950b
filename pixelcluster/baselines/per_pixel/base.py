"""What all per-pixel methods do before and after their own learning: checks, and the images that count."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from pixelcluster import clock
from pixelcluster.arguments import whole_number
from pixelcluster.baselines.base import Baseline, FloatImage, LabelMap, Mask
from pixelcluster.errors import PixelClusterError

CHANNELS = (3, 4)
"""Of an image: RGB, or RGB and infrared."""

MaskedImages = Sequence[tuple[FloatImage, Mask]]
Self = TypeVar("Self", bound="PerPixelBaseline")


@dataclass(eq=False)
class PerPixelBaseline(Baseline):
    """A method that learns its clusters from all images together: ids mean the same on each.

    Attributes:
        n_channels_: of the images of the fit: 3, or 4 with infrared.
    """

    n_channels_: int = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.n_clusters = whole_number("n_clusters", self.n_clusters, 1)

    def fit(self: Self, images: Sequence[FloatImage], masks: Sequence[Mask] | None = None) -> Self:
        """Learn, see `Baseline.fit`.

        Raises:
            PixelClusterError: images that are not (H, W, 3) or (H, W, 4) all alike, another number or other
                sizes of masks, no unmasked pixel, too few of them for the clusters, an unknown device, or a
                loss that is not finite.
        """
        deadline = clock.now() + 60 * self.minutes
        kept = usable_images(images, masks)
        self._learn(kept, deadline)
        self.n_channels_ = kept[0][0].shape[2]
        return self

    def predict(self, image: FloatImage, mask: Mask | None = None) -> LabelMap:
        """Return the label map, see `Baseline.predict`.

        Raises:
            PixelClusterError: not fitted, an image with other channels than in the fit, or a mask of another
                size.
        """
        if not hasattr(self, "n_channels_"):
            raise PixelClusterError("the method is not fitted; call fit(images) first")
        check_channels([image], [self.n_channels_])
        return self._assign(image, whole_or(mask, image))

    @abstractmethod
    def _learn(self, images: MaskedImages, deadline: float) -> None:
        """Fit to checked images, each with its mask, until `clock.now()` passes the deadline."""

    @abstractmethod
    def _assign(self, image: FloatImage, mask: Mask) -> LabelMap:
        """Return the label map of a checked image with its mask."""


def check_channels(images: Sequence[FloatImage], wanted: Sequence[int] = CHANNELS) -> None:
    """Refuse images that do not all have the same number of channels, one of `wanted`.

    Raises:
        PixelClusterError: what was got and what was wanted.
    """
    flat = [image.shape for image in images if image.ndim != 3]
    if flat:
        raise PixelClusterError(f"an image has shape {flat[0]}, wanted (H, W, {wanted[0]})")
    found = sorted({image.shape[2] for image in images})
    if len(found) > 1 or not set(found) <= set(wanted):
        raise PixelClusterError(
            f"images have {' and '.join(map(str, found))} channels, wanted {' or '.join(map(str, wanted))}, "
            "the same for all: RGB (3), or RGB and infrared (4)"
        )


def usable_images(images: Sequence[FloatImage], masks: Sequence[Mask] | None) -> MaskedImages:
    """Return (image, mask) of every image that has an unmasked pixel; the images are not changed.

    Args:
        images: (H, W, C), C as `CHANNELS` and the same for all.
        masks: one (H, W) bool an image, or None for all pixels.

    Raises:
        PixelClusterError: as many masks as images are wanted and not given, other channels or sizes, or no
            pixel is left.
    """
    check_channels(images)
    if masks is not None and len(masks) != len(images):
        raise PixelClusterError(f"{len(masks)} masks for {len(images)} images; give one an image, or none")
    pairs = [
        (image, whole_or(None if masks is None else masks[index], image))
        for index, image in enumerate(images)
    ]
    kept = [(image, mask) for image, mask in pairs if mask.any()]
    if not kept:
        raise PixelClusterError("no usable pixel to learn from; give at least one image with unmasked pixels")
    return kept


def whole_or(mask: Mask | None, image: FloatImage) -> Mask:
    """Return the mask of an image, or one that uses all of it.

    Raises:
        PixelClusterError: the mask has another size.
    """
    if mask is None:
        return np.ones(image.shape[:2], dtype=np.bool_)
    if mask.shape != image.shape[:2]:
        raise PixelClusterError(f"a mask is {mask.shape} for an image of {image.shape[:2]}; wanted its size")
    return mask
