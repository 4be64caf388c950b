"""The clusters of the coarse grid: basins, joined while the objective rises.

Regions that touch are joined first (`hierarchy`), down to some hundreds. From there on those that look alike
are joined too where they do not touch, before any of them is judged too small to be worth a cluster
(`linking`). At the end those that do not touch are joined where one is cheaper, or all down to the number
that is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pixelcluster.segmenting.alone.boundaries import find_basins, region_graph
from pixelcluster.segmenting.alone.evidence import Evidence
from pixelcluster.segmenting.alone.hierarchy import (
    Graph,
    Int,
    Merges,
    Statistics,
    best_number_of_merges,
    merge_regions,
    objective_trace,
    region_statistics,
)
from pixelcluster.segmenting.alone.linking import link_clusters, one_colour
from pixelcluster.segmenting.watch import Glimpse, Watch

MANY = 64
"""Colours: a picture with more is no drawing."""
_OBJECTS = 200
"""Regions from which on those that look alike are joined also where they do not touch."""
_ALIKE = 0.035
"""Loss below which they do; chosen as the constants of `hierarchy`."""
_FORCED = 0.5
"""Exponent of sizes on the way down to a number: the large division stays, not the small patch."""
_GLIMPSES = 24
"""Of the joining of regions."""


@dataclass(frozen=True)
class Found:
    """Clusters of the coarse grid.

    Attributes:
        clusters: (h, w) ids from 0.
        atoms: (h, w) the basins they are made of.
        evidence: on the same grid, texture faded where boundaries are.
        objective: after each join of regions.
    """

    clusters: Int
    atoms: Int
    evidence: Evidence
    objective: list[float]


def find_clusters(
    evidence: Evidence,
    n_clusters: int | None,
    *,
    at_least: int = 1,
    at_most: int = MANY,
    watch: Watch | None = None,
) -> Found:
    """Find the clusters of the coarse grid.

    Args:
        evidence: the target stack on the grid.
        n_clusters: exactly this many, where there are basins enough; None lets the objective decide.
        at_least: exactly this many where the objective decides on fewer.
        at_most: exactly this many where it decides on more; any number from 64 up is no limit.
        watch: is told of every join, with the labels on the grid.

    Returns:
        The clusters and what they are made of.
    """
    tell = watch or (lambda glimpse: None)
    tell(Glimpse("boundaries", 0.25))
    evidence, strength, atoms = find_basins(evidence)
    tell(Glimpse("merging", 0.5, atoms, 0.0))
    start = one_colour(atoms, evidence)[atoms]

    def described(regions: Int) -> tuple[Statistics, Graph]:
        return region_statistics(regions, evidence), region_graph(regions, strength)

    merges = merge_regions(*described(start))

    def joined(wanted: int | None, show: Watch | None) -> Found:
        fewest = wanted or 1
        count = _number_of_merges(merges, max(_OBJECTS, fewest))
        near = link_clusters(*described(merges.cut(count)[start]), alike=_ALIKE)
        tree = merges.then(count, near)
        count += _number_of_merges(near, fewest)
        objective = objective_trace(tree, count)
        if show is not None:
            _show_merges(tree, start, objective, show)
        left = described(tree.cut(count)[start])
        if wanted is None:  # regions stay as they are
            last = link_clusters(*left, touching=False)
            more = best_number_of_merges(last)
        else:
            last = link_clusters(*left, exponent=_FORCED)
            more = max(0, last.n_atoms - wanted)
        tree, count = tree.then(count, last), count + more
        return Found(tree.cut(count)[start], atoms, evidence, objective)

    found = joined(n_clusters, watch)
    count = int(found.clusters.max()) + 1
    if n_clusters is None and at_most < min(count, MANY):  # a drawing: what lies near an edge is no cluster
        return joined(at_most, None)
    return found if count >= at_least else joined(at_least, None)


def _number_of_merges(merges: Merges, fewest: int) -> int:
    """Number of merges that pay and leave at least so many clusters."""
    return min(best_number_of_merges(merges), max(0, merges.n_atoms - fewest))


def _show_merges(merges: Merges, atoms: Int, objective: list[float], watch: Watch) -> None:
    """Show the joins as they were made, each glimpse with a fixed factor fewer regions than the last."""
    last = len(objective) - 1
    left = np.geomspace(merges.n_atoms, merges.n_atoms - last, _GLIMPSES)
    for done in np.unique((merges.n_atoms - left).round().astype(int))[1:].tolist():
        share = 0.6 + 0.2 * done / last
        watch(Glimpse("merging", share, merges.cut(done)[atoms], objective[done]))
