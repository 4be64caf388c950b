"""Superpixels of one image, merged by their mean colour.

Source: Achanta et al., SLIC superpixels compared to state-of-the-art superpixel methods, TPAMI 2012;
merging by a threshold on the region adjacency graph as in scikit-image's gallery.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np
from skimage.graph import cut_threshold, rag_mean_color
from skimage.segmentation import slic

from pixelcluster.baselines.base import FloatImage, LabelMap, Mask, PerImageBaseline


@dataclass(eq=False)
class SlicMerge(PerImageBaseline):
    """SLIC superpixels; neighbours whose mean colours are closer than a threshold become one region.

    Args:
        n_clusters: no use for it, the number of regions follows from the threshold.
        seed: no use for it, nothing is drawn.
        device: no use for it, runs on the CPU.
        minutes: no use for it, an image takes about a second.
        n_segments: superpixels asked for.
        threshold: Euclidean distance of mean RGB colours in 0..255 below which neighbours merge.
    """

    n_clusters: int = 0
    _: KW_ONLY
    n_segments: int = 100
    threshold: float = 29

    def predict(self, image: FloatImage, mask: Mask | None = None) -> LabelMap:
        """Return the label map (H, W) int32 of one image (H, W, 3) float32 RGB in [0, 1]."""
        superpixels = slic(image, n_segments=self.n_segments, start_label=0)
        graph = rag_mean_color(image * 255.0, superpixels)  # type: ignore[no-untyped-call]
        merged = cut_threshold(superpixels, graph, self.threshold)  # type: ignore[no-untyped-call]
        return np.asarray(merged, dtype=np.int32)
