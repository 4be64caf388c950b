"""Scores of one segmentation against several human ones: Rand index, information, covering, overlap.

Source: Arbelaez, Maire, Fowlkes, Malik, Contour detection and hierarchical image segmentation, TPAMI 2011,
section 3.1; PRI: Unnikrishnan, Pantofaru, Hebert, TPAMI 2007; VoI: Meila, JMVA 2007. Each score is taken per
annotator and averaged. A machine region is a 4-connected component, made with `connected_regions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pixelcluster.errors import PixelClusterError

LabelMap = npt.NDArray[np.integer]


@dataclass(frozen=True)
class RegionScores:
    """Mean over annotators of the region scores of one image.

    Attributes:
        pri: probabilistic Rand index in [0, 1], higher is better.
        voi: variation of information in bits, lower is better.
        covering: covering of the truth by the segmentation in [0, 1], higher is better.
        miou: mean over the truth's regions of their best IoU, in [0, 1], higher is better.
    """

    pri: float
    voi: float
    covering: float
    miou: float


@dataclass(frozen=True)
class Overlap:
    """Overlaps of every truth region with every machine region, sparse.

    Attributes:
        truth: (n,) truth region of each non-empty overlap.
        machine: (n,) machine region of each non-empty overlap.
        counts: (n,) shared pixels, int64, at least 1.
        truth_sizes: (T,) pixels of the truth's regions.
        machine_sizes: (M,) pixels of the machine's regions.
    """

    truth: npt.NDArray[np.int64]
    machine: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    truth_sizes: npt.NDArray[np.int64]
    machine_sizes: npt.NDArray[np.int64]


def connected_regions(label_map: LabelMap) -> npt.NDArray[np.int32]:
    """Return the 4-connected components of equal labels, (H, W) int32, ids 0..n-1.

    Linear in the pixels and independent of the number of labels: components of the graph that joins equal
    right and lower neighbours.

    Raises:
        PixelClusterError: the map is not (H, W) or empty.
    """
    if label_map.ndim != 2 or label_map.size == 0:
        raise PixelClusterError(f"a label map of shape (H, W) is needed, got {label_map.shape}")
    index = np.arange(label_map.size, dtype=np.int32).reshape(label_map.shape)
    right, down = label_map[:, :-1] == label_map[:, 1:], label_map[:-1] == label_map[1:]
    tails = np.concatenate([index[:, :-1][right], index[:-1][down]])
    heads = np.concatenate([index[:, 1:][right], index[1:][down]])
    edges = (np.ones(tails.size, dtype=bool), (tails, heads))
    graph = sparse.coo_array(edges, shape=(label_map.size, label_map.size))
    _, regions = connected_components(graph, directed=False)
    return np.asarray(regions, dtype=np.int32).reshape(label_map.shape)


def overlap(machine: LabelMap, truth: LabelMap) -> Overlap:
    """Count the pixels shared by the regions of two label maps of the same shape (H, W).

    Raises:
        PixelClusterError: the shapes differ.
    """
    if machine.shape != truth.shape:
        raise PixelClusterError(
            f"segmentation has shape {machine.shape}, truth {truth.shape}; segment at the truth's size"
        )
    rows, columns = _dense(truth), _dense(machine)
    # Sparse: K-means maps have tens of thousands of components, most overlap one truth region only.
    cells = sparse.csr_array((np.ones(truth.size, dtype=np.int64), (rows, columns))).tocoo()
    return Overlap(
        truth=cells.row.astype(np.int64),
        machine=cells.col.astype(np.int64),
        counts=cells.data,
        truth_sizes=np.bincount(rows),
        machine_sizes=np.bincount(columns),
    )


def rand_index(table: Overlap) -> float:
    """Return the share of pixel pairs on which both segmentations agree, all pairs counted exactly."""
    n = int(table.truth_sizes.sum())
    pairs = n * (n - 1)
    if pairs == 0:
        return 1.0
    disagreeing = _squares(table.truth_sizes) + _squares(table.machine_sizes) - 2 * _squares(table.counts)
    return 1.0 - disagreeing / pairs


def variation_of_information(table: Overlap) -> float:
    """Return VoI in bits: H(truth given machine) + H(machine given truth)."""
    n = table.truth_sizes.sum()
    both = table.counts.astype(np.float64)
    ratio = both**2 / (table.truth_sizes[table.truth] * table.machine_sizes[table.machine])
    return float(max(0.0, -(both / n * np.log2(ratio)).sum()))


def best_ious(table: Overlap) -> npt.NDArray[np.float64]:
    """Return for each truth region, (T,), the IoU with the machine region that overlaps it best."""
    union = table.truth_sizes[table.truth] + table.machine_sizes[table.machine] - table.counts
    best = np.zeros(table.truth_sizes.size)
    np.maximum.at(best, table.truth, table.counts / union)
    return best


def score_regions(machine: LabelMap, truths: Sequence[LabelMap]) -> RegionScores:
    """Score one segmentation against the segmentations of several annotators.

    Args:
        machine: (H, W) region ids; pass `connected_regions(label_map)` for the benchmark's convention.
        truths: one (H, W) map of region ids an annotator.

    Raises:
        PixelClusterError: no annotator, or a shape differs.
    """
    if not truths:
        raise PixelClusterError("no human segmentation to score against, at least one is needed")
    return mean_scores([_score_one(overlap(machine, truth)) for truth in truths])


def mean_scores(scores: Sequence[RegionScores]) -> RegionScores:
    """Return the field-wise mean of at least one score."""
    rows = [list(asdict(score).values()) for score in scores]
    return RegionScores(*(float(value) for value in np.mean(rows, axis=0)))


def _score_one(table: Overlap) -> RegionScores:
    """Return the scores against one annotator."""
    best = best_ious(table)
    return RegionScores(
        pri=rand_index(table),
        voi=variation_of_information(table),
        covering=float(np.average(best, weights=table.truth_sizes)),
        miou=float(best.mean()),
    )


def _dense(labels: LabelMap) -> npt.NDArray[np.int64]:
    """Return the labels renumbered to 0..n-1 without gaps, flattened."""
    shifted = labels.ravel().astype(np.int64) - int(labels.min())
    if shifted.max() > 16 * shifted.size:
        # Widely scattered ids: sorting them costs less than a table of their range.
        return np.unique(shifted, return_inverse=True)[1]
    return (np.cumsum(np.bincount(shifted) > 0) - 1)[shifted]


def _squares(sizes: npt.NDArray[np.int64]) -> int:
    """Return the sum of squares; int64 holds it up to 3e9 pixels."""
    return int((sizes * sizes).sum())
