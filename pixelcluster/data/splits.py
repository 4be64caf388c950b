"""Images of one size in a training and a test part, as the image-level methods take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class ImageSet:
    """A data set of the image-level benchmarks: fit on `train`, infer and score `test`.

    Attributes:
        name: as asked for.
        train: (N, H, W, C) uint8.
        train_labels: (N,) int64 in 0..K-1, None where some images have no label.
        test: (M, H, W, C) uint8.
        test_labels: (M,) int64 in 0..K-1, or None.
        class_names: one a class.

    Raises:
        PixelClusterError: shapes, types, numbers or label values do not fit together.
    """

    name: str
    train: Images
    train_labels: Labels | None
    test: Images
    test_labels: Labels | None
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        for part, images, labels in (
            ("train", self.train, self.train_labels),
            ("test", self.test, self.test_labels),
        ):
            what = f"{self.name}, {part}"
            if images.ndim != 4 or images.dtype != np.uint8 or not images.size:
                raise PixelClusterError(
                    f"{what}: got {images.dtype} images of shape {images.shape}; wanted uint8 (N, H, W, C)"
                )
            if labels is None:
                continue
            if labels.shape != (len(images),):
                raise PixelClusterError(
                    f"{what}: {len(images)} images, but labels of shape {labels.shape}; "
                    "images and labels must come from the same copy of the data"
                )
            if labels.min() < 0 or labels.max() >= len(self.class_names):
                raise PixelClusterError(
                    f"{what}: labels {labels.min()}..{labels.max()}, wanted 0..{len(self.class_names) - 1}"
                )
        if self.train.shape[1:] != self.test.shape[1:]:
            raise PixelClusterError(
                f"{self.name}: training images are {self.train.shape[1:]}, test images "
                f"{self.test.shape[1:]}; both must be equal"
            )


def as_channels_last(images: NDArray[np.generic], what: str) -> Images:
    """Return uint8 (N, H, W, C) of uint8 (N, H, W) or (N, H, W, 1|3|4).

    Args:
        images: as a file held them.
        what: the file, for the message.

    Raises:
        PixelClusterError: another type or shape.
    """
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] > 4):
        raise PixelClusterError(
            f"{what}: got {images.dtype} images of shape {images.shape}; wanted uint8 (N, H, W[, 1|3|4])"
        )
    # A copy: what a file was mapped to may be read-only, which torch warns of.
    return np.array(images if images.ndim == 4 else images[..., None], dtype=np.uint8, order="C")
