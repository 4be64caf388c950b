"""The interface of the methods to compare with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pixelcluster.arguments import check_seed

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
LabelMap = npt.NDArray[np.int32]
Self = TypeVar("Self", bound="Baseline")


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
        self.seed = check_seed(self.seed)

    @abstractmethod
    def fit(self: Self, images: Sequence[FloatImage], masks: Sequence[Mask] | None = None) -> Self:
        """Learn from images without labels and return the method itself.

        Args:
            images: (H, W, 3) float32 RGB in [0, 1], or (H, W, 4) RGB and infrared; sizes may differ. Methods
                made for colour leave infrared out, see `colour`.
            masks: one (H, W) bool an image, False where a pixel enters neither an objective nor a statistic;
                networks see it all the same, as the surroundings of others. None uses all pixels.
        """

    @abstractmethod
    def predict(self, image: FloatImage, mask: Mask | None = None) -> LabelMap:
        """Return the label map (H, W) int32 of one image; every pixel gets a label.

        Args:
            image: as in the fit.
            mask: (H, W) bool, as in the fit, for methods that pool over an image; others have no use for it.
        """


class PerImageBaseline(Baseline):
    """A baseline that treats every image, RGB, alone: ids mean nothing across images, a fit does nothing."""

    def fit(self: Self, images: Sequence[FloatImage], masks: Sequence[Mask] | None = None) -> Self:
        """Return self."""
        return self


def colour(image: FloatImage) -> FloatImage:
    """Return the first three channels: all that methods for colour (SIFT, pretrained encoders) can take."""
    return np.ascontiguousarray(image[..., :3])
