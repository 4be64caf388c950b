"""Strokes on an earlier result of the mode for one image: what no stroke speaks against stays as it was.

A basin under a stroke takes its class, and so does every basin that is more like those a stroke has moved to
that class than like the cluster it was in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pixelcluster.segmenting.alone.boundaries import find_basins
from pixelcluster.segmenting.alone.evidence import Evidence, Float, image_evidence
from pixelcluster.segmenting.alone.guided import Marks, count_votes, loss_to_own, marks_on_grid, union
from pixelcluster.segmenting.alone.heads import fit_heads
from pixelcluster.segmenting.alone.hierarchy import Int, likelihood_loss, region_statistics
from pixelcluster.segmenting.alone.pixel_field import grow_to_pixels, map_labels
from pixelcluster.segmenting.watch import Glimpse, Watch


def correct_image(image: Float, before: Marks, marks: Marks, *, watch: Watch | None = None) -> Marks:
    """Segment an image anew, given an earlier result and strokes.

    Args:
        image: (H, W, 3) float32 sRGB in [0, 1].
        before: (H, W) ids of the earlier result.
        marks: (H, W) known ids, new ones among them, -1 elsewhere; at least one pixel is known.
        watch: is told of every stage (`segmenting.watch`).

    Returns:
        (H, W) int32 ids; every id keeps its meaning, and marked pixels have theirs.
    """
    tell = watch or (lambda glimpse: None)
    tell(Glimpse("evidence", 0.0))
    evidence, project = image_evidence(image)
    coarse = at_centres(before, evidence.shape)
    tell(Glimpse("boundaries", 0.3, coarse))
    evidence, _, atoms = find_basins(evidence)
    moved = moved_cells(coarse, atoms, marks_on_grid(marks, evidence.shape), evidence)
    height, width = before.shape
    moved_pixels = grow_to_pixels(moved, height, width)
    wanted = np.where(moved_pixels >= 0, moved_pixels, before)
    known = marks >= 0
    wanted[known] = marks[known]

    grid = at_centres(wanted, evidence.shape)
    tell(Glimpse("pixels", 0.8, grid))
    classes, compact = np.unique(grid, return_inverse=True)
    clusters = compact.reshape(grid.shape)
    rare = ~np.isin(wanted, classes)  # no cell is theirs: such pixels are as they are
    start = np.where(rare, grow_to_pixels(clusters, height, width), np.searchsorted(classes, wanted))
    heads = fit_heads(clusters, region_statistics(clusters, evidence))
    labels = map_labels(
        start.astype(np.int32),
        lambda top, bottom: project(image[top:bottom]),
        heads,
        known=known | rare,
        share_done=lambda share: tell(Glimpse("pixels", 0.8 + 0.2 * share)),
    )
    tell(Glimpse("done", 1.0))
    return np.where(rare, wanted, classes[labels]).astype(np.int32)


def at_centres(labels: Marks, shape: tuple[int, int]) -> Marks:
    """Labels (H, W) at the centres of the cells of a grid (h, w), which is not larger."""
    rows, columns = (
        ((np.arange(cells) + 0.5) * n / cells).astype(np.intp)
        for n, cells in zip(labels.shape, shape, strict=True)
    )
    sampled: Marks = labels[rows][:, columns]
    return sampled


def moved_cells(before: Marks, atoms: Int, marks: Marks, evidence: Evidence) -> Int:
    """Find the cells that change their class.

    Args:
        before: (h, w) ids of the earlier result.
        atoms: (h, w) basins.
        marks: (h, w) known ids, -1 elsewhere.
        evidence: on the same grid.

    Returns:
        (h, w) the new class of cells that change, -1 elsewhere.
    """
    classes = np.union1d(before, marks[marks >= 0])
    statistics = region_statistics(atoms, evidence)
    own: Int = count_votes(atoms, before, classes).argmax(1)
    votes = count_votes(atoms, marks, classes)
    marked = np.where(votes.any(1), votes.argmax(1), -1)
    corrected = (marked >= 0) & (marked != own)
    after = np.where(corrected, marked, own)
    loss: NDArray[np.float64] = loss_to_own(statistics, own, marked, np.arange(len(classes)))
    for c in np.unique(marked[corrected]):
        other = likelihood_loss(union(statistics, corrected & (marked == c)), statistics)
        nearer = (marked < 0) & (other < loss)
        after[nearer], loss[nearer] = c, other[nearer]
    return np.where(after != own, classes[after], -1)[atoms]
