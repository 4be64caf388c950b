"""The interface of the image-level methods, and what all of them do before and after their own learning.

Images are brought to the working size, at most 32 pixels on the longer side (96 x 96 of STL-10 becomes
32 x 32, smaller images stay as they are), and stay uint8 in memory: a method takes its batches as floats.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pixelcluster import clock
from pixelcluster.arguments import check_seed, whole_number
from pixelcluster.data.splits import Images, Labels
from pixelcluster.device import choose_device
from pixelcluster.errors import PixelClusterError

Self = TypeVar("Self", bound="ImageBaseline")

_MAX_SIDE = 32
_BATCH = 1000
"""Images resized or assigned at once."""


@dataclass(eq=False)
class ImageBaseline(ABC):
    """Images in, one label an image out; labels play no part. The last state counts.

    Args:
        n_clusters: K.
        seed: of weights, starts, order and noise, from 0 to 2^32 - 1. A fit that ends with its epochs repeats
            exactly; one that the time limit ends depends on the speed of the machine.
        device: "auto", "cpu" or "cuda".
        minutes: time limit of the fit.

    Attributes:
        history_: the objective of every step of the last phase of the fit; smaller is better.
    """

    n_clusters: int
    _: KW_ONLY
    seed: int = 0
    device: str = "auto"
    minutes: float = 10.0

    def __post_init__(self) -> None:
        self.n_clusters = whole_number("n_clusters", self.n_clusters, 1)
        self.seed = check_seed(self.seed)

    def fit(self: Self, images: Images) -> Self:
        """Learn from images without labels.

        Args:
            images: (N, H, W, C) uint8, grey or colour.

        Returns:
            The method itself.

        Raises:
            PixelClusterError: another shape or type, fewer images than clusters, or a limit that is not
                positive.
        """
        if not self.minutes > 0:
            raise PixelClusterError(f"got {self.minutes} minutes; wanted more than 0")
        check_images(images)
        if len(images) < max(2, self.n_clusters):
            raise PixelClusterError(
                f"{len(images)} images for {self.n_clusters} clusters; give more images (2 or more) "
                "or fewer clusters"
            )
        deadline = clock.now() + 60 * self.minutes
        self.history_: list[float] = []
        self._device = choose_device(self.device)
        self._random = torch.Generator(self._device).manual_seed(self.seed)
        self._shape = images.shape[1:]
        self._learn(working_size(images).to(self._device), deadline)
        return self

    @torch.no_grad()
    def predict(self, images: Images) -> Labels:
        """Return the clusters (N,) int64 of images (N, H, W, C) uint8 of the fitted size.

        Raises:
            PixelClusterError: not fitted, or images of another size or type than the fitted ones.
        """
        if not hasattr(self, "history_"):
            raise PixelClusterError("the method is not fitted; call fit(images) first")
        check_images(images)
        if images.shape[1:] != self._shape:
            raise PixelClusterError(
                f"images are {images.shape[1:]}, the fit saw {self._shape}; resize them to the fitted shape"
            )
        labels = [
            self._assign(working_size(images[first : first + _BATCH]).to(self._device).float() / 255)
            for first in range(0, len(images), _BATCH)
        ]
        found: Labels = torch.cat(labels).cpu().numpy().astype(np.int64)
        return found

    @abstractmethod
    def _learn(self, pixels: Tensor, deadline: float) -> None:
        """Fit to pixels (N, C, h, w) uint8 until `clock.now()` passes the deadline; fill `history_`."""

    @abstractmethod
    def _assign(self, images: Tensor) -> Tensor:
        """Return the clusters (B,) of images (B, C, h, w) float32 in [0, 1]."""


def check_images(images: Images) -> None:
    """Refuse anything but (N, H, W, C) uint8 with at least one image.

    Raises:
        PixelClusterError: another shape or type.
    """
    if images.ndim != 4 or images.dtype != np.uint8 or images.size == 0:
        raise PixelClusterError(
            f"images are {images.dtype} of shape {images.shape}; wanted uint8 (N, H, W, C) with N at least 1"
        )


def working_size(images: Images) -> Tensor:
    """Return (N, C, h, w) uint8 of images (N, H, W, C), shrunk where a side exceeds 32 pixels."""
    height, width = images.shape[1:3]
    scale = min(1.0, _MAX_SIDE / max(height, width))
    if scale == 1.0:
        return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = np.empty((len(images), images.shape[3], *size), dtype=np.uint8)
    for first in range(0, len(images), _BATCH):  # floats of all images at once would not fit
        part = torch.from_numpy(images[first : first + _BATCH].transpose(0, 3, 1, 2).astype(np.float32))
        shrunk = functional.interpolate(part, size, mode="bilinear", antialias=True, align_corners=False)
        small[first : first + _BATCH] = shrunk.round().clamp(0, 255).byte().numpy()
    return torch.from_numpy(small)
