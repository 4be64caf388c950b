"""K-means on the pixels of a data set.

Source: Lloyd, Least squares quantization in PCM, 1982: the row "K-means on raw pixels" of the IIC and
clustered generator papers. Other rivals end with the same K-means on their own features.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans

from pixelcluster.arguments import LARGEST_SEED
from pixelcluster.baselines.base import FloatImage, LabelMap, Mask
from pixelcluster.baselines.per_pixel.base import MaskedImages, PerPixelBaseline
from pixelcluster.errors import PixelClusterError

Rows = npt.NDArray[np.float32]


@dataclass(eq=False)
class PixelKMeans(PerPixelBaseline):
    """K-means on RGB, or RGB and infrared, of the pixels of all images together: ids mean the same on all.

    Args:
        n_clusters: K.
        seed: seeds the drawn pixels and the starts.
        device: no use for it, runs on the CPU.
        minutes: no use for it, the fit takes seconds.
        max_pixels: pixels to fit on; every image gives an equal share, drawn without replacement.
        n_starts: K-means++ starts, the one with the smallest inertia is kept.
    """

    _: KW_ONLY
    max_pixels: int = 500_000
    n_starts: int = 3

    def _learn(self, images: MaskedImages, deadline: float) -> None:
        self.model_ = fit_kmeans(
            (image[mask] for image, mask in images),
            len(images),
            self.n_clusters,
            seed=self.seed,
            max_rows=self.max_pixels,
            n_starts=self.n_starts,
        )

    def _assign(self, image: FloatImage, mask: Mask) -> LabelMap:
        rows = np.ascontiguousarray(image.reshape(-1, image.shape[2]))
        return np.asarray(self.model_.predict(rows), dtype=np.int32).reshape(image.shape[:2])


def fit_kmeans(
    parts: Iterable[Rows], n_parts: int, n_clusters: int, *, seed: int, max_rows: int, n_starts: int = 3
) -> KMeans:
    """Return K-means fitted on an equal share of every part.

    Args:
        parts: (P, D) a part, usually an image; one at a time, so that the whole need not fit into memory.
        n_parts: how many will come.
        n_clusters: K.
        seed: of the drawn rows and the starts.
        max_rows: rows to fit on.
        n_starts: K-means++ starts, the one with the smallest inertia is kept.

    Raises:
        PixelClusterError: fewer rows than clusters.
    """
    rng = np.random.default_rng(seed)
    share = -(-max_rows // max(n_parts, 1))
    drawn = [rng.permutation(rows)[:share].copy() if len(rows) > share else rows for rows in parts]
    n_rows = sum(map(len, drawn))
    if n_rows < n_clusters:
        raise PixelClusterError(
            f"{n_rows} usable pixels for {n_clusters} clusters; give more images or fewer clusters"
        )
    kmeans = KMeans(n_clusters, n_init=n_starts, random_state=seed % (LARGEST_SEED + 1))
    return kmeans.fit(np.concatenate(drawn))
