"""K-means: on the RGB pixels of a data set, and on the Lab pixels of one image.

Source: Lloyd, Least squares quantization in PCM, 1982. On a data set it is the "K-means on raw pixels" row of
the IIC and clustered generator papers.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from sklearn.cluster import KMeans

from pixelcluster.baselines.base import FloatImage, LabelMap, Mask, PerImageBaseline
from pixelcluster.errors import PixelClusterError


class RgbKMeans:
    """K-means on RGB pixels of all images together, so that ids mean the same on every image.

    Args:
        n_clusters: K.
        seed: seeds the drawn pixels and the starts.
        max_pixels: pixels to fit on; every image gives an equal share, drawn without replacement.
        n_starts: K-means++ starts, the one with the smallest inertia is kept.
    """

    def __init__(self, n_clusters: int, seed: int = 0, max_pixels: int = 500_000, n_starts: int = 3) -> None:
        """Store the settings."""
        self.n_clusters = n_clusters
        self.seed = seed
        self.max_pixels = max_pixels
        self.n_starts = n_starts

    def fit(self, images: Sequence[FloatImage], masks: Sequence[Mask] | None = None) -> RgbKMeans:
        """Fit the K centres, see `Baseline.fit`; masked pixels are left out.

        Raises:
            PixelClusterError: fewer usable pixels than clusters.
        """
        rng = np.random.default_rng(self.seed)
        share = -(-self.max_pixels // max(len(images), 1))
        drawn = [np.empty((0, 3), dtype=np.float32)]
        # One image at a time: the pixels of a whole data set need not fit into memory twice.
        for index, image in enumerate(images):
            rows = image.reshape(-1, 3) if masks is None else image[masks[index]]
            drawn.append(rng.permutation(rows)[:share].copy() if len(rows) > share else rows)
        pixels = np.concatenate(drawn)
        if len(pixels) < self.n_clusters:
            raise PixelClusterError(
                f"{len(pixels)} usable pixels for {self.n_clusters} clusters; "
                "give more images or fewer clusters"
            )
        self.model_ = KMeans(self.n_clusters, n_init=self.n_starts, random_state=self.seed).fit(pixels)
        return self

    def predict(self, image: FloatImage) -> LabelMap:
        """Return the nearest centre of each pixel, (H, W) int32."""
        rows = np.ascontiguousarray(image.reshape(-1, 3))
        return np.asarray(self.model_.predict(rows), dtype=np.int32).reshape(image.shape[:2])


class LabKMeans(PerImageBaseline):
    """K-means on the CIE Lab pixels of one image, by OpenCV.

    Args:
        n_clusters: K; an image of fewer pixels gets one cluster a pixel.
        seed: seeds the starts.
    """

    def __init__(self, n_clusters: int = 6, seed: int = 0) -> None:
        """Store the settings."""
        self.n_clusters = n_clusters
        self.seed = seed

    def predict(self, image: FloatImage) -> LabelMap:
        """Return the label map (H, W) int32 of one image."""
        # Three channels, not three columns: OpenCV reads a single row of columns as several samples.
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).reshape(-1, 1, 3)
        n_clusters = min(self.n_clusters, len(pixels))
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
        # OpenCV knows no other generator than its global one.
        cv2.setRNGSeed(self.seed)
        start = np.empty((0, 1), dtype=np.int32)
        _, labels, _ = cv2.kmeans(pixels, n_clusters, start, criteria, 3, cv2.KMEANS_PP_CENTERS)
        return labels.astype(np.int32).reshape(image.shape[:2])
