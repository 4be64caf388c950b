"""Labels under a fitted scene, window by window: block Gibbs sweeps at temperature 0.

They start from the likeliest label of each pixel alone. Specks, regions of fewer than `SPECK` pixels, then
take the label of the nearest pixel that is in none. A sweep moves information by less than 4 pixels, a speck
by less than its size and the reach of its new label: windows with a margin of all of these give exactly the
labels of the whole scene, and no seam.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from pixelcluster.io.raster import Raster
from pixelcluster.io.raster_scribbles import RasterScribbles
from pixelcluster.io.scribbles import UNKNOWN
from pixelcluster.io.windows import Bool, Float, spread_windows
from pixelcluster.model.dynamic import DynamicPrior
from pixelcluster.model.graph import PixelGrid
from pixelcluster.model.prior import LabelPrior
from pixelcluster.sampling import gibbs
from pixelcluster.sampling.noise import Streams
from pixelcluster.segmenting.alone.pixel_field import CONTRAST, POTTS, SWEEPS, Labels
from pixelcluster.segmenting.rasters.scene import Scene, choose_components, log_evidence

MARGIN = 4 * SWEEPS  # pixels
SPECK = 20  # pixels
_REACH = 12  # pixels
_AROUND = MARGIN + SPECK + _REACH  # pixels
_RARE = 1e-3  # share of the pixels
_EVERY = 3  # windows

Window = tuple[slice, slice]


def label_window(
    scene: Scene,
    values: Float,
    valid: Bool,
    *,
    known: Labels | None = None,
    history: Tensor | None = None,
    marginals: Tensor | None = None,
) -> Labels:
    """Label one window.

    Args:
        scene: fitted.
        values: (h, w, D) as read from the raster.
        valid: (h, w).
        known: (h, w) clusters that are clamped, -1 elsewhere.
        history: (K, h, w), what the frame before adds to the prior (`model.dynamic`).
        marginals: (K, h, w), to which p(y_p = k | rest) at the end is added.

    Returns:
        (h, w) int32; those nearer than `MARGIN` to a side that is not the image's own are provisional.
    """
    channels = torch.from_numpy(np.ascontiguousarray(scene.project(values)))
    evidence = log_evidence(scene, channels)[None]
    guide = channels[..., :3].permute(2, 0, 1)[None]
    mask = torch.from_numpy(valid)[None]
    prior = LabelPrior(torch.full((scene.n_clusters,), 1 / scene.n_clusters), potts_weight=POTTS)
    if history is not None:
        prior = DynamicPrior.after(prior, history)
    graph = PixelGrid(*valid.shape, guide=guide, contrast=CONTRAST, mask=mask)
    labels = (evidence if history is None else evidence + history).max(1).indices
    clamp = None if known is None else torch.from_numpy(known)[None].long()
    for left in reversed(range(SWEEPS)):
        total = marginals[None] if marginals is not None and not left else None
        labels = gibbs.sweep(
            Streams(0, [0]),
            labels,
            evidence,
            prior,
            graph,
            temperature=0,
            clamp=clamp,
            conditionals=total,
        )
    return labels[0].to(torch.int32).numpy()


def without_specks(labels: Labels, valid: Bool, known: Labels | None = None) -> Labels:
    """Dissolve specks; those farther than `_REACH` from anything larger stay.

    Args:
        labels: (h, w).
        valid: (h, w); the rest neither changes nor gives a label.
        known: (h, w) clusters that are clamped and stay, -1 elsewhere.
    """
    speck = np.zeros(valid.shape, bool)
    for k in np.unique(labels[valid]).tolist():
        own = ((labels == k) & valid).astype(np.uint8)
        _, region, facts, _ = cv2.connectedComponentsWithStats(own, connectivity=4, ltype=cv2.CV_32S)
        small = facts[:, cv2.CC_STAT_AREA] < SPECK
        small[0] = False  # what is not of the cluster
        speck |= small[region]
    if known is not None:
        speck &= known < 0
    source = valid & ~speck
    if not speck.any() or not source.any():
        return labels
    distance, (row, column) = distance_transform_edt(~source, return_indices=True)
    return np.where(speck & (distance <= _REACH), labels[row, column], labels)


def without_rare(scene: Scene, raster: Raster) -> Scene:
    """Leave out the clusters that get almost no pixel in windows spread over the raster.

    A broad component can have its share of the mixture while nearly every pixel is likelier under another.
    """
    counts = np.zeros(scene.n_clusters, np.int64)
    for window in spread_windows(*raster.shape)[::_EVERY]:
        values, valid = raster.read(*window)
        if valid.any():
            counts += np.bincount(label_window(scene, values, valid)[valid], minlength=scene.n_clusters)
    kept = counts >= _RARE * counts.sum()
    return choose_components(scene, np.flatnonzero(kept).tolist()) if counts.any() else scene


def label_windows(
    scene: Scene, raster: Raster, side: int, scribbles: RasterScribbles | None = None
) -> Iterator[tuple[int, int, Labels, Float, Bool]]:
    """Label a raster window by window, each read with its margin.

    Args:
        scene: fitted to the raster.
        raster: open.
        side: of the windows, pixels; even.
        scribbles: known ids, which are clamped.

    Yields:
        Top row, left column, labels (h, w), values (h, w, D) and validity (h, w) of each window, by rows.
    """
    ids = np.array(scene.ids, np.int32)
    for top, left, outer, inner in margined_windows(*raster.shape, side, _AROUND):
        values, valid = raster.read(*outer)
        if valid[inner].any():
            known = None
            if scribbles is not None:
                known = _clusters_of(np.where(valid, scribbles.read(*outer), UNKNOWN), scene)
            found = label_window(scene, values, valid, known=known)
            labels = ids[without_specks(found, valid, known)[inner]]
        else:
            labels = np.zeros(valid[inner].shape, np.int32)
        yield top, left, labels, values[inner], valid[inner]


def _clusters_of(marks: Labels, scene: Scene) -> Labels:
    """Return the clusters of ids (h, w), -1 where there is none."""
    cluster = np.full(max(scene.ids) + 1, UNKNOWN, np.int32)
    cluster[list(scene.ids)] = np.arange(scene.n_clusters)
    return np.where(marks >= 0, cluster[marks], UNKNOWN)


def margined_windows(
    height: int, width: int, side: int, margin: int
) -> Iterator[tuple[int, int, Window, Window]]:
    """Yield top row, left column, the window with its margin, and the place of the window itself in it.

    The margin is even, so that the colours of the grid stay where they are.
    """
    for top in range(0, height, side):
        for left in range(0, width, side):
            low, start = max(0, top - margin), max(0, left - margin)
            outer = (
                slice(low, min(height, top + side + margin)),
                slice(start, min(width, left + side + margin)),
            )
            inner = (slice(top - low, top - low + side), slice(left - start, left - start + side))
            yield top, left, outer, inner
