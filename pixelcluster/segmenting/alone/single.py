"""One image, no trained model: the clustered generator fitted to the image itself.

The model is x_p = mu_{y_p} + A_{y_p} z_p + e over a target stack x (`evidence`), with z fixed at the
smoothest modes of the latent field, a tempered likelihood, a Potts prior with contrast-sensitive weights,
and a description length for every cluster. Inference joins many small clusters while the objective rises
(`search`), and ends with Gibbs sweeps of the pixels' labels at
temperature 0 (`pixel_field`). All but the last step happens on a bounded grid, and nothing is random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError
from pixelcluster.segmenting.alone.evidence import Float, image_evidence, shrink
from pixelcluster.segmenting.alone.guided import guide_clusters, marks_on_grid
from pixelcluster.segmenting.alone.heads import Heads, fit_heads
from pixelcluster.segmenting.alone.hierarchy import region_statistics
from pixelcluster.segmenting.alone.linking import split_clusters
from pixelcluster.segmenting.alone.pixel_field import (
    Channels,
    grow_to_pixels,
    label_probabilities,
    map_labels,
)
from pixelcluster.segmenting.alone.search import MANY, Found, find_clusters
from pixelcluster.segmenting.colours import count_colours, is_drawn, label_colours
from pixelcluster.segmenting.watch import Glimpse, Watch

Labels = NDArray[np.int32]

_FEW = 12
"""Colours: a drawing of no more, each of which fills some place, is its own label map."""


@dataclass(frozen=True)
class SingleResult:
    """What `segment_image` found.

    Attributes:
        label_map: (H, W) int32, ids 0..K-1 in order of decreasing area.
        probabilities: (K, H, W) float32 summing to 1 over K, or None where not asked for.
        n_clusters: K, the largest id and one; with scribbles some ids may be absent.
    """

    label_map: Labels
    probabilities: Float | None
    n_clusters: int


def segment_image(
    image: Float,
    *,
    n_clusters: int | None = None,
    probabilities: bool = False,
    scribbles: Labels | None = None,
    valid: NDArray[np.bool_] | None = None,
    watch: Watch | None = None,
) -> SingleResult:
    """Segment one image by fitting the generator to it.

    Args:
        image: (H, W, 3) float32 sRGB in [0, 1].
        n_clusters: exactly this many clusters; None lets the objective decide.
        probabilities: also return the conditionals of every pixel given its neighbours' labels.
        scribbles: (H, W) known classes, -1 elsewhere. Their pixels are clamped, clusters follow them (see
            `guided`), and ids are then the classes; clusters without strokes take the ids that are free.
        valid: (H, W), False where the image says nothing: clusters are found without those pixels, which get
            some label; the image shall not show an edge around them (`io.windows.fill_invalid`).
        watch: is told of every stage, with the labels on the coarse grid from the first regions on.

    Returns:
        The result; it has fewer clusters than asked where the image has fewer colours.

    Raises:
        PixelClusterError: n_clusters below 1, or image and scribbles of shapes that do not fit.
    """
    _check(image, n_clusters, scribbles)
    tell = watch or (lambda glimpse: None)
    height, width = image.shape[:2]

    tell(Glimpse("evidence", 0.0))
    if scribbles is None and valid is None and (colours := _drawn_colours(image, n_clusters)) is not None:
        labels, _ = by_area(colours)
        certain = np.eye(int(labels.max()) + 1, dtype=np.float32)[:, labels] if probabilities else None
        tell(Glimpse("done", 1.0))
        return SingleResult(labels, certain, int(labels.max()) + 1)
    evidence, project = image_evidence(image)
    if valid is not None:
        evidence = replace(evidence, weight=shrink(valid.astype(np.float32), evidence.shape))
    # Under scribbles too many clusters are better than too few: `guided` has an eye for those it can spare.
    wanted, at_least = (n_clusters, 1) if scribbles is None else (None, n_clusters or 1)
    at_most = count_colours(image, at_least=MANY) if wanted is None and scribbles is None else MANY
    found = find_clusters(evidence, wanted, at_least=at_least, at_most=at_most, watch=watch)
    clusters = found.clusters

    def channels(start: int, stop: int) -> Float:
        return project(image[start:stop])

    tell(Glimpse("pixels", 0.8, clusters, found.objective[-1]))

    def rows_done(share: float) -> None:
        tell(Glimpse("pixels", 0.8 + 0.1 * share))

    if scribbles is not None:
        labels, certain, n_ids = _guided(found, scribbles, channels, n_clusters, probabilities, rows_done)
        tell(Glimpse("done", 1.0))
        return SingleResult(labels, certain, n_ids)
    heads = fit_heads(clusters, region_statistics(clusters, evidence))
    start = grow_to_pixels(clusters, height, width)
    labels = map_labels(start, channels, heads, share_done=rows_done)
    if n_clusters is not None and len(np.unique(labels)) < len(heads.mean):
        labels = start  # a cluster too thin for the pixel field to keep
    whole = labels
    labels, order = by_area(whole if n_clusters is None else split_clusters(whole, image, n_clusters))
    certain = None
    if probabilities:
        tell(Glimpse("probabilities", 0.9))
        certain = _probabilities(whole, labels, order, channels, heads)
    tell(Glimpse("done", 1.0))
    return SingleResult(labels, certain, int(labels.max()) + 1)


def _drawn_colours(image: Float, n_clusters: int | None) -> Labels | None:
    """Return the colours (H, W) of a drawing that has few, or no more than the clusters that are wanted."""
    labels = label_colours(image, at_most=n_clusters or _FEW)
    return labels if labels is None or n_clusters is not None or is_drawn(labels, image) else None


def _guided(
    found: Found,
    scribbles: Labels,
    channels: Channels,
    n_clusters: int | None,
    probabilities: bool,
    share_done: Callable[[float], None],
) -> tuple[Labels, Float | None, int]:
    """Return labels that agree with the scribbles, their probabilities where wanted, and K."""
    height, width = scribbles.shape
    known = scribbles >= 0
    painted = np.unique(scribbles[known])
    evidence = found.evidence
    marks = marks_on_grid(scribbles, evidence.shape)
    clusters, classes = guide_clusters(found.clusters, found.atoms, marks, painted, evidence, n_clusters)
    index_of = np.full(int(max(classes.max(), painted[-1])) + 1, -1, dtype=np.int32)
    index_of[classes] = np.arange(len(classes), dtype=np.int32)
    heads = fit_heads(clusters, region_statistics(clusters, evidence))
    start = grow_to_pixels(clusters, height, width)
    index = index_of[scribbles[known]]
    # A class without a cell, as others outnumber it in all of them, has no head: around its pixels the field
    # sees the cluster of their cell.
    start[known] = np.where(index < 0, start[known], index)
    labels = map_labels(start, channels, heads, known=known, share_done=share_done)
    certain = None
    if probabilities:
        certain = np.zeros((len(index_of), height, width), dtype=np.float32)
        certain[classes] = label_probabilities(labels, channels, heads)
        certain[:, known] = np.arange(len(index_of))[:, None] == scribbles[known]
    labels = classes.astype(np.int32)[labels]
    labels[known] = scribbles[known]
    return labels, certain, len(index_of)


def _check(image: Float, n_clusters: int | None, scribbles: Labels | None) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise PixelClusterError(f"image has shape {image.shape}; wanted (H, W, 3) with at least one pixel")
    if scribbles is not None and (scribbles.shape != image.shape[:2] or scribbles.max() < 0):
        raise PixelClusterError(
            f"scribbles have shape {scribbles.shape}; wanted {image.shape[:2]} with at least one known pixel"
        )
    if n_clusters is not None and n_clusters < 1:
        raise PixelClusterError(f"n_clusters is {n_clusters}; wanted at least 1, or None to choose")


def by_area(labels: Labels) -> tuple[Labels, NDArray[np.intp]]:
    """Number labels by decreasing area; also the old label of each new one."""
    counts = np.bincount(labels.ravel())
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    rank = np.zeros(len(counts), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[labels], order


def _probabilities(
    whole: Labels, labels: Labels, order: NDArray[np.intp], channels: Channels, heads: Heads
) -> Float:
    """Return (K, H, W) of labels that are by area, and before that were `order` and the parts of `whole`."""
    n_heads = len(heads.mean)
    if order.max() < n_heads:
        return label_probabilities(labels, channels, heads.choose(order))
    # Parts of a cluster split by colour alone share its head: its pixels are told apart without doubt.
    soft = np.zeros((len(order), *labels.shape), dtype=np.float32)
    soft[np.argsort(order)[:n_heads]] = label_probabilities(whole, channels, heads)
    split = np.isin(whole, whole[order[labels] >= n_heads])
    soft[:, split] = labels[split] == np.arange(len(order))[:, None]
    return soft
