"""Cluster labels against class labels: one contingency table, and the scores read from it.

Every score is a pure function of the table, int64 (K, C): `table[k, c]` counts the scored pixels (or images)
with cluster k and class c. `Confusion` fills such a table batch by batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from pixelcluster.errors import PixelClusterError

Table = npt.NDArray[np.int64]


@dataclass
class Confusion:
    """Streaming contingency table of predicted clusters against true classes.

    The table is a plain int64 bincount, not a torchmetrics object: exact for any number of pixels, needs no
    torch, accepts K different from C (torchmetrics' confusion matrix is square), and tables of several
    workers are summed by adding their `table`.

    Args:
        n_clusters: K, predicted labels are 0..K-1.
        n_classes: C, true labels are 0..C-1.
        ignore_index: true label of the pixels that are not scored; must lie outside 0..C-1.

    Raises:
        PixelClusterError: a count below 1, or an ignore index inside the class range.
    """

    n_clusters: int
    n_classes: int
    ignore_index: int = 255
    table: Table = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges and start from an empty table."""
        if self.n_clusters < 1 or self.n_classes < 1:
            raise PixelClusterError(
                f"got {self.n_clusters} clusters and {self.n_classes} classes, both must be at least 1"
            )
        if 0 <= self.ignore_index < self.n_classes:
            raise PixelClusterError(
                f"ignore_index {self.ignore_index} is a class (0..{self.n_classes - 1}); choose one outside, "
                "such as 255 or -1"
            )
        self.table = np.zeros((self.n_clusters, self.n_classes), dtype=np.int64)

    def update(self, predicted: npt.ArrayLike, truth: npt.ArrayLike) -> None:
        """Count the pixels of one map or batch.

        Args:
            predicted: integer cluster ids, any shape; free where the truth is ignored.
            truth: integer class ids of the same shape, `ignore_index` where not scored.

        Raises:
            PixelClusterError: shapes differ, a dtype is not integer, or a scored id is out of range.
        """
        predicted, truth = np.asarray(predicted), np.asarray(truth)
        if predicted.shape != truth.shape:
            raise PixelClusterError(
                f"prediction has shape {predicted.shape}, truth {truth.shape}; both must be equal"
            )
        for name, labels in (("prediction", predicted), ("truth", truth)):
            if labels.dtype.kind not in "iu":
                raise PixelClusterError(f"{name} has dtype {labels.dtype}, integer labels are needed")
        scored = truth != self.ignore_index
        clusters, classes = predicted[scored].astype(np.int64), truth[scored].astype(np.int64)
        _check_range("cluster", clusters, self.n_clusters)
        _check_range("class", classes, self.n_classes)
        counts = np.bincount(clusters * self.n_classes + classes, minlength=self.table.size)
        self.table += counts.reshape(self.table.shape)

    @property
    def acc(self) -> float:
        """Share of scored pixels on the matched cells, see `accuracy`."""
        return accuracy(self.table)

    @property
    def miou(self) -> float:
        """Mean IoU under the same matching, see `mean_iou`."""
        return mean_iou(self.table)

    @property
    def nmi(self) -> float:
        """Normalised mutual information, see `normalised_mutual_information`."""
        return normalised_mutual_information(self.table)

    @property
    def ari(self) -> float:
        """Adjusted Rand index, see `adjusted_rand_index`."""
        return adjusted_rand_index(self.table)


def match_clusters(table: Table) -> npt.NDArray[np.int64]:
    """Return the class of each cluster, (K,), under the best one-to-one matching; -1 where it gets none.

    The matching maximises the matched pixels (Hungarian method). Among equally good ones it takes the largest
    summed IoU, so that scores do not depend on the order of the clusters.

    Args:
        table: (K, C) counts; K may be smaller or larger than C.
    """
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    # The summed IoU of a matching is at most C, so this bonus stays below one pixel: it only breaks ties.
    bonus = table / np.maximum(union, 1) / (table.shape[1] + 1)
    clusters, classes = linear_sum_assignment(table + bonus, maximize=True)
    matched = np.full(table.shape[0], -1, dtype=np.int64)
    matched[clusters] = classes
    return matched


def accuracy(table: Table) -> float:
    """Return ACC in [0, 1]: the matched pixels over all scored pixels.

    One global one-to-one matching; with more clusters than classes the surplus clusters count as wrong and
    stay in the denominator. Source: IIC, Ji et al., ICCV 2019, section 4.1.

    Raises:
        PixelClusterError: no scored pixels.
    """
    total = _total(table)
    matched = match_clusters(table)
    used = np.flatnonzero(matched >= 0)
    return int(table[used, matched[used]].sum()) / total


def mean_iou(table: Table) -> float:
    """Return the mean IoU in [0, 1] over the classes that occur, under the matching of `accuracy`.

    A class without a cluster has IoU 0; pixels of surplus clusters are misses of their true class.

    Raises:
        PixelClusterError: no scored pixels.
    """
    _total(table)
    matched = match_clusters(table)
    class_sizes = table.sum(axis=0)
    intersection = np.zeros(table.shape[1])
    union = class_sizes.astype(np.float64)
    used = np.flatnonzero(matched >= 0)
    intersection[matched[used]] = table[used, matched[used]]
    union[matched[used]] += table[used].sum(axis=1) - table[used, matched[used]]
    occurs = class_sizes > 0
    return float(np.mean(intersection[occurs] / union[occurs]))


def normalised_mutual_information(table: Table) -> float:
    """Return NMI in [0, 1], mutual information over the mean of both entropies (scikit-learn's default).

    One cluster against one class scores 1.

    Raises:
        PixelClusterError: no scored pixels.
    """
    joint = table / _total(table)
    h_clusters, h_classes = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    mean_entropy = (h_clusters + h_classes) / 2
    if mean_entropy == 0:
        return 1.0
    mutual = h_clusters + h_classes - _entropy(joint.ravel())
    return float(np.clip(mutual / mean_entropy, 0, 1))


def adjusted_rand_index(table: Table) -> float:
    """Return ARI, at most 1, 0 in expectation for independent labels.

    Source: Hubert and Arabie, Comparing partitions, 1985. Two identical trivial partitions score 1.

    Raises:
        PixelClusterError: no scored pixels.
    """
    # Products of pair counts grow with the 4th power of the pixels: Python integers keep them exact.
    total = _total(table) * (_total(table) - 1)
    counts = table.astype(object)
    both = int((counts * (counts - 1)).sum())
    clusters, classes = (int((size * (size - 1)).sum()) for size in (counts.sum(axis=1), counts.sum(axis=0)))
    numerator = 2 * (both * total - clusters * classes)
    denominator = (clusters + classes) * total - 2 * clusters * classes
    return numerator / denominator if denominator else 1.0


def _total(table: Table) -> int:
    """Return the number of scored pixels; refuse an empty table."""
    total = int(table.sum())
    if total == 0:
        raise PixelClusterError("no scored pixels: every true label was ignored or nothing was counted")
    return total


def _entropy(p: npt.NDArray[np.float64]) -> float:
    """Return the entropy in nats of a distribution of any length."""
    p = p[p > 0]
    return float(max(0.0, -(p * np.log(p)).sum()))


def _check_range(name: str, labels: npt.NDArray[np.int64], n: int) -> None:
    """Refuse labels outside 0..n-1."""
    if labels.size and not (labels.min() >= 0 and labels.max() < n):
        raise PixelClusterError(
            f"{name} ids span {labels.min()}..{labels.max()}, wanted 0..{n - 1}; check labels and counts"
        )
