"""Clusters that agree with known labels: strokes of the user on the coarse grid of the mode for one image.

A cluster takes the class most of its strokes name. A class that wins no cluster is a new one: the basins
under its strokes, and every basin elsewhere that is more like those than like its own cluster.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError
from pixelcluster.segmenting.alone.evidence import Evidence
from pixelcluster.segmenting.alone.heads import cells_of
from pixelcluster.segmenting.alone.hierarchy import (
    Int,
    Statistics,
    head_residual,
    likelihood_loss,
    region_statistics,
)

Marks = NDArray[np.int32]


def marks_on_grid(marks: Marks, shape: tuple[int, int]) -> Marks:
    """Shrink strokes to a grid: the class most pixels of a cell name.

    Args:
        marks: (H, W) classes, -1 unknown.
        shape: (h, w) of the grid, not larger.

    Returns:
        (h, w) classes, -1 where no pixel of the cell is marked.
    """
    rows, columns = (cells_of(n, cells) for n, cells in zip(marks.shape, shape, strict=True))
    row, column = np.nonzero(marks >= 0)
    if not len(row):
        return np.full(shape, -1, np.int32)
    cell = rows[row] * shape[1] + columns[column]
    n_classes = int(marks.max()) + 1
    keys, counts = np.unique(cell * n_classes + marks[row, column], return_counts=True)
    grid = np.full(shape[0] * shape[1], -1, np.int32)
    order = np.argsort(counts, kind="stable")  # the most frequent class of a cell is written last
    grid[keys[order] // n_classes] = keys[order] % n_classes
    return grid.reshape(shape)


def guide_clusters(
    clusters: Int, atoms: Int, marks: Marks, classes: Marks, evidence: Evidence, n_clusters: int | None
) -> tuple[Int, Int]:
    """Bring clusters into agreement with strokes.

    Args:
        clusters: (h, w) ids 0..K-1, unions of atoms.
        atoms: (h, w) basins.
        marks: (h, w) classes, -1 unknown.
        classes: (C,) all that are painted, sorted; some may have no cell in `marks`.
        evidence: on the same grid.
        n_clusters: no more than this many; None: any number.

    Returns:
        Clusters (h, w), ids 0..M-1, and (M,) the class of each; clusters without strokes get the classes
        that are free, smallest first. A class without a cell has no cluster.

    Raises:
        PixelClusterError: more classes than clusters.
    """
    if n_clusters is not None and len(classes) > n_clusters:
        raise PixelClusterError(
            f"the scribbles name {len(classes)} classes, but {n_clusters} clusters were asked for; raise -k"
        )
    votes = count_votes(clusters, marks, classes)
    won = np.where(votes.any(1), votes.argmax(1), -1)  # of each cluster: index into classes
    carved = np.setdiff1d(np.arange(len(classes)), won)
    statistics = region_statistics(atoms, evidence)
    of_atom = np.empty(int(atoms.max()) + 1, dtype=np.intp)
    of_atom[atoms.ravel()] = clusters.ravel()
    n_found = len(won)
    by_atom = count_votes(atoms, marks, classes)
    marked = np.where(by_atom.any(1), by_atom.argmax(1), -1)
    if len(carved):
        new_id = {int(c): n_found + i for i, c in enumerate(carved)}
        loss = loss_to_own(statistics, of_atom, marked, won)
        for c, name in new_id.items():
            if c not in marked:  # other strokes outnumber it in every basin: it keeps its cells alone
                continue
            other = likelihood_loss(union(statistics, marked == c), statistics)
            nearer = (marked < 0) & (other < loss)
            of_atom[nearer], loss[nearer] = name, other[nearer]
        won = np.concatenate([won, carved])
    home = {int(c): int(np.flatnonzero(won == c)[0]) for c in range(len(classes))}
    for cluster in np.flatnonzero(won >= 0):  # several clusters of one class become one
        of_atom[of_atom == cluster] = home[int(won[cluster])]
    for atom in np.flatnonzero(marked >= 0):
        of_atom[atom] = home[int(marked[atom])]
    if n_clusters is not None:
        with_atom = np.intersect1d(np.arange(len(classes)), won[of_atom])
        _dissolve(statistics, of_atom, won, n_clusters - len(classes) + len(with_atom))
    result = of_atom[atoms]
    result[marks >= 0] = [home[int(c)] for c in np.searchsorted(classes, marks[marks >= 0])]
    kept, compact = np.unique(result, return_inverse=True)
    free = iter(np.setdiff1d(np.arange(len(kept) + len(classes)), classes))
    areas = np.bincount(compact.ravel())
    names = np.array([classes[won[k]] if won[k] >= 0 else -1 for k in kept], dtype=np.intp)
    for index in np.argsort(-areas, kind="stable"):
        if names[index] < 0:
            names[index] = next(free)
    return compact.reshape(clusters.shape), names


def count_votes(regions: Int, marks: Marks, classes: Marks) -> Int:
    """Marked cells of each region and class, (n, C)."""
    votes = np.zeros((int(regions.max()) + 1, len(classes)), dtype=np.intp)
    seen = marks >= 0
    np.add.at(votes, (regions[seen], np.searchsorted(classes, marks[seen])), 1)
    return votes


def union(statistics: Statistics, chosen: NDArray[np.bool_]) -> Statistics:
    """Statistics of the union of some regions, as one region."""
    size, codes, moments = (
        getattr(statistics, part)[chosen].sum(0, keepdims=True) for part in ("size", "codes", "moments")
    )
    return Statistics(size, codes, moments, head_residual(moments, size))


def loss_to_own(statistics: Statistics, of_atom: Int, marked: Int, won: Int) -> NDArray[np.float64]:
    """Loss of each atom against its cluster, less the atoms whose strokes name another class."""
    loss = np.zeros(len(of_atom))
    for cluster in np.unique(of_atom):
        own = of_atom == cluster
        loyal = own & ((marked < 0) | (marked == won[cluster]))
        if loyal.any():
            loss[own] = likelihood_loss(union(statistics, loyal), statistics)[own]
    return loss


def _dissolve(statistics: Statistics, of_atom: Int, won: Int, n_clusters: int) -> None:
    """Give the atoms of the smallest clusters without strokes to the clusters most like them, in place."""
    while len(present := np.unique(of_atom)) > n_clusters:
        areas = np.bincount(of_atom, statistics.size, len(won))
        smallest = min((k for k in present if won[k] < 0), key=lambda k: areas[k])
        rest = [k for k in present if k != smallest]
        losses = np.stack([likelihood_loss(union(statistics, of_atom == k), statistics) for k in rest])
        own = of_atom == smallest
        of_atom[own] = np.array(rest)[losses.argmin(0)][own]
