"""Graph-based segmentation of one image.

Source: Felzenszwalb and Huttenlocher, Efficient graph-based image segmentation, IJCV 2004.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np
from skimage.segmentation import felzenszwalb

from pixelcluster.baselines.base import FloatImage, LabelMap, Mask, PerImageBaseline


@dataclass(eq=False)
class Felzenszwalb(PerImageBaseline):
    """Felzenszwalb's merging of pixels along a minimum spanning tree.

    Args:
        n_clusters: no use for it, the number of regions follows from the scale.
        seed: no use for it, nothing is drawn.
        device: no use for it, runs on the CPU.
        minutes: no use for it, an image takes a fraction of a second.
        scale: larger gives larger regions.
        sigma: Gaussian smoothing beforehand, pixels.
        min_size: smallest region kept, pixels.
    """

    n_clusters: int = 0
    _: KW_ONLY
    scale: float = 500
    sigma: float = 0.8
    min_size: int = 200

    def predict(self, image: FloatImage, mask: Mask | None = None) -> LabelMap:
        """Return the label map (H, W) int32 of one image (H, W, 3) float32 RGB in [0, 1]."""
        labels = felzenszwalb(image, scale=self.scale, sigma=self.sigma, min_size=self.min_size)
        return np.asarray(labels, dtype=np.int32)
