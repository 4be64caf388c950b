"""Dense SIFT descriptors and K-means.

Source: Lowe, Distinctive image features from scale-invariant keypoints, IJCV 2004; the row "SIFT + K-means"
of Ji et al., Invariant information clustering, ICCV 2019. Grid and scales are
ours: a keypoint every 4 px at two sizes, upright, descriptors normalised (RootSIFT: Arandjelovic and
Zisserman, 2012), labels grown to pixels bilinearly. In the published table it stays behind K-means on colours
with few classes.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pixelcluster.baselines.base import FloatImage, LabelMap, Mask, colour
from pixelcluster.baselines.per_pixel.base import MaskedImages, PerPixelBaseline
from pixelcluster.baselines.per_pixel.kmeans import fit_kmeans

_STEP = 4
"""Pixels between keypoints."""
_SIZES = (4.0, 8.0)
"""Diameters of the keypoints; a descriptor covers about 6 times as many pixels a side."""


@dataclass(eq=False)
class SiftKMeans(PerPixelBaseline):
    """K-means on dense SIFT of all images together; a channel beside RGB is left out.

    Descriptors whose keypoint is masked are left out of the fit; those beside it see masked pixels too.

    Args:
        n_clusters: K.
        seed: seeds the drawn descriptors and the starts.
        device: no use for it, runs on the CPU.
        minutes: no use for it, the fit takes about 0.1 s an image of 128 px.
        max_descriptors: descriptors to fit on, an equal share of every image.
    """

    _: KW_ONLY
    max_descriptors: int = 100_000

    def _learn(self, images: MaskedImages, deadline: float) -> None:
        self.model_ = fit_kmeans(
            (dense_sift(image)[mask[np.ix_(*_places(mask.shape))]] for image, mask in images),
            len(images),
            self.n_clusters,
            seed=self.seed,
            max_rows=self.max_descriptors,
        )

    def _assign(self, image: FloatImage, mask: Mask) -> LabelMap:
        grid = dense_sift(image)
        distances = self.model_.transform(grid.reshape(-1, grid.shape[2])).astype(np.float32)
        planes = distances.T.reshape(-1, *grid.shape[:2])
        size = (grid.shape[1] * _STEP, grid.shape[0] * _STEP)
        grown = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in planes]
        height, width = image.shape[:2]
        labels: LabelMap = np.argmin(grown, axis=0)[:height, :width].astype(np.int32)
        return labels


def dense_sift(image: FloatImage) -> npt.NDArray[np.float32]:
    """Return RootSIFT (ceil(H / 4), ceil(W / 4), 256) of the RGB of an image, two sizes side by side."""
    grey = (cv2.cvtColor(colour(image), cv2.COLOR_RGB2GRAY) * 255).round().astype(np.uint8)
    rows, columns = _places(grey.shape)
    levels = []
    for size in _SIZES:
        points = [cv2.KeyPoint(float(x), float(y), size, 0.0) for y in rows for x in columns]
        _, found = cv2.SIFT.create().compute(grey, points)
        # Euclidean distance of the roots is Hellinger's of the histograms.
        levels.append(np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1.0)))
    joined: npt.NDArray[np.float32] = np.concatenate(levels, axis=1, dtype=np.float32)
    return joined.reshape(len(rows), len(columns), -1)


def _places(shape: tuple[int, ...]) -> list[npt.NDArray[np.int64]]:
    """Return the rows and columns of the keypoints, the last ones moved inside the image (H, W)."""
    return [np.minimum(np.arange(-(-side // _STEP)) * _STEP + _STEP // 2, side - 1) for side in shape]
