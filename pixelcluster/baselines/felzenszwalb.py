"""Graph-based segmentation of one image.

Source: Felzenszwalb and Huttenlocher, Efficient graph-based image segmentation, IJCV 2004.
"""

from __future__ import annotations

import numpy as np
from skimage.segmentation import felzenszwalb

from pixelcluster.baselines.base import FloatImage, LabelMap, PerImageBaseline


class Felzenszwalb(PerImageBaseline):
    """Felzenszwalb's merging of pixels along a minimum spanning tree.

    Args:
        scale: larger gives larger regions.
        sigma: Gaussian smoothing beforehand, pixels.
        min_size: smallest region kept, pixels.
    """

    def __init__(self, scale: float = 500, sigma: float = 0.8, min_size: int = 200) -> None:
        """Store the settings."""
        self.scale = scale
        self.sigma = sigma
        self.min_size = min_size

    def predict(self, image: FloatImage) -> LabelMap:
        """Return the label map (H, W) int32 of one image (H, W, 3) float32 RGB in [0, 1]."""
        labels = felzenszwalb(image, scale=self.scale, sigma=self.sigma, min_size=self.min_size)
        return np.asarray(labels, dtype=np.int32)
