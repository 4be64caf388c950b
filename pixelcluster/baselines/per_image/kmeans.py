"""K-means on the Lab pixels of one image.

Source: Lloyd, Least squares quantization in PCM, 1982; OpenCV's implementation with K-means++ starts.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pixelcluster.baselines.base import FloatImage, LabelMap, Mask, PerImageBaseline


@dataclass(eq=False)
class LabKMeans(PerImageBaseline):
    """K-means on the CIE Lab pixels of one image.

    Args:
        n_clusters: K; an image of fewer pixels gets one cluster a pixel.
        seed: seeds the starts.
        device: no use for it, runs on the CPU.
        minutes: no use for it, an image takes a fraction of a second.
    """

    n_clusters: int = 6

    def predict(self, image: FloatImage, mask: Mask | None = None) -> LabelMap:
        """Return the label map (H, W) int32 of one image."""
        # Three channels, not three columns: OpenCV reads a single row of columns as several samples.
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).reshape(-1, 1, 3)
        n_clusters = min(self.n_clusters, len(pixels))
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
        # OpenCV knows no other generator than its global one, and takes 31 bits.
        cv2.setRNGSeed(self.seed % 2**31)
        start = np.empty((0, 1), dtype=np.int32)
        _, labels, _ = cv2.kmeans(pixels, n_clusters, start, criteria, 3, cv2.KMEANS_PP_CENTERS)
        return labels.astype(np.int32).reshape(image.shape[:2])
