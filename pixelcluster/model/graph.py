"""Graphs over label cells for the Potts prior: the pixel grid, or any sparse symmetric graph.

A graph knows which cells are neighbours, with what weight, and a colouring: cells of a colour share no edge.
Given all others they are independent and are updated together, each from its exact conditional.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from types import EllipsisType
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from pixelcluster.errors import PixelClusterError

# Index of a set of cells in a field (..., *graph.shape): field[cells] is (..., *cells).
Cells = tuple[EllipsisType, slice, slice] | tuple[EllipsisType, Tensor]

OFFSETS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


class Graph(Protocol):
    """What Gibbs asks of a graph."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one label map, (h, w) on the grid and (n,) on a sparse graph."""

    @property
    def colours(self) -> Sequence[Cells]:
        """The cells of each colour; together every cell once."""

    def votes(self, label_map: Tensor, colour: int, n_clusters: int) -> Tensor:
        """Return sum_q w_pq [y_q = k] of the cells p of a colour, (B, K, *cells); labels (B, *shape)."""


class PixelGrid:
    """The pixel grid with 8 neighbours; diagonal ones weigh 1/sqrt(2), as they are further away.

    Args:
        height: rows of the label map.
        width: columns of the label map.
        guide: (B, C, h, w), image whose edges weaken the coupling; needs `contrast`.
        contrast: scale c of w_pq = exp(-|I_p - I_q|^2 / (2 c^2)), in units of the guide.
        mask: (B, h, w) bool; edges of cells where it is False weigh 0.
        period: cells of one colour are this far apart; 2 serves the 8 neighbours, a generator whose labels
            interact needs its receptive field.

    Raises:
        PixelClusterError: a guide without contrast or of another size, or contrast or period out of range.
    """

    def __init__(
        self,
        height: int,
        width: int,
        *,
        guide: Tensor | None = None,
        contrast: float | None = None,
        mask: Tensor | None = None,
        period: int = 2,
        device: torch.device | str | None = None,
    ) -> None:
        if period < 2:
            raise PixelClusterError(f"period is {period}; neighbours need at least 2")
        if (guide is None) != (contrast is None) or (contrast is not None and not contrast > 0):
            raise PixelClusterError(
                f"contrast is {contrast}, wanted a positive number and a guide image, or neither"
            )
        if guide is not None and guide.shape[-2:] != (height, width):
            raise PixelClusterError(
                f"guide is {tuple(guide.shape[-2:])}, wanted the label grid {(height, width)}"
            )
        self.shape = (height, width)
        self.period = period
        self.colours: list[tuple[EllipsisType, slice, slice]] = [
            (..., slice(i, None, period), slice(j, None, period))
            for i in range(min(period, height))
            for j in range(min(period, width))
        ]
        inside = torch.ones(1, height, width, dtype=torch.bool, device=device) if mask is None else mask
        # (1 or B, 8, h, w), 0 beyond the border.
        self.weights = _grid_weights(inside, guide, contrast)

    def votes(self, label_map: Tensor, colour: int, n_clusters: int) -> Tensor:
        """Return sum_q w_pq [y_q = k], see `Graph.votes`; one scatter whatever K is."""
        padded = functional.pad(label_map, (1, 1, 1, 1))
        height, width = self.shape
        shifted = [padded[:, 1 + i : 1 + i + height, 1 + j : 1 + j + width] for i, j in OFFSETS]
        neighbours = torch.stack([field[self.colours[colour]] for field in shifted], dim=1)
        weights = self.weights[self.colours[colour]].expand_as(neighbours)
        empty = weights.new_zeros(len(label_map), n_clusters, *neighbours.shape[2:])
        return empty.scatter_add_(1, neighbours, weights)


class SparseGraph:
    """Any symmetric sparse graph over n cells: superpixels, or images and their nearest neighbours.

    Args:
        n_cells: n.
        edges: (2, E) int64, each undirected edge once (either way round); no loops.
        weights: (E,) non-negative.

    Raises:
        PixelClusterError: shapes that do not fit, an index out of range, a loop.
    """

    def __init__(self, n_cells: int, edges: Tensor, weights: Tensor) -> None:
        if edges.ndim != 2 or len(edges) != 2 or weights.shape != edges.shape[1:]:
            raise PixelClusterError(
                f"edges {tuple(edges.shape)} and weights {tuple(weights.shape)}, wanted (2, E) and (E,)"
            )
        if edges.numel() and not (int(edges.min()) >= 0 and int(edges.max()) < n_cells):
            raise PixelClusterError(f"edges name cells {int(edges.min())}..{int(edges.max())} of {n_cells}")
        if (edges[0] == edges[1]).any():
            raise PixelClusterError("an edge joins a cell with itself; remove loops")
        self.shape = (n_cells,)
        heads, tails = torch.cat([edges, edges.flip(0)], dim=1)
        order = heads.argsort(stable=True)
        self._tails, self._weights = tails[order], torch.cat([weights, weights])[order]
        self._first = functional.pad(torch.bincount(heads, minlength=n_cells).cumsum(0), (1, 0))
        colouring = greedy_colouring(n_cells, edges).to(edges.device)
        members = [torch.nonzero(colouring == c).flatten() for c in range(int(colouring.max()) + 1)]
        self.colours: list[tuple[EllipsisType, Tensor]] = [(..., cells) for cells in members]
        self._edges = [self._incoming(cells) for cells in members]

    def block(self, cells: Tensor) -> SparseGraph:
        """Return this graph with one colour, some cells (n,) of one of its own: a mini-batch of them."""
        part = copy.copy(self)
        part.colours, part._edges = [(..., cells)], [self._incoming(cells)]
        return part

    def _incoming(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return for each edge into the cells: the place of its cell in them, its other end, its weight."""
        degree = self._first[cells + 1] - self._first[cells]
        receivers = torch.repeat_interleave(torch.arange(len(cells), device=cells.device), degree)
        before = functional.pad(degree.cumsum(0), (1, 0))[:-1]
        edges = torch.arange(len(receivers), device=cells.device) + (self._first[cells] - before)[receivers]
        return receivers, self._tails[edges], self._weights[edges]

    def votes(self, label_map: Tensor, colour: int, n_clusters: int) -> Tensor:
        """Return sum_q w_pq [y_q = k], see `Graph.votes`; one scatter whatever K is."""
        receivers, senders, weights = self._edges[colour]
        n_receivers = len(self.colours[colour][1])
        bins = label_map[:, senders] * n_receivers + receivers
        empty = weights.new_zeros(len(label_map), n_clusters * n_receivers)
        return empty.scatter_add_(1, bins, weights.expand_as(bins)).view(-1, n_clusters, n_receivers)

    def soft_votes(self, probabilities: Tensor, colour: int) -> Tensor:
        """Return sum_q w_pq P(y_q = k) of the cells p of a colour, (B, K, *cells), from P (B, K, n)."""
        receivers, senders, weights = self._edges[colour]
        empty = probabilities.new_zeros(*probabilities.shape[:2], len(self.colours[colour][1]))
        return empty.index_add_(2, receivers, probabilities[..., senders] * weights)


def greedy_colouring(n_cells: int, edges: Tensor) -> Tensor:
    """Colour cells in order of falling degree with the first colour no neighbour has.

    Args:
        n_cells: n.
        edges: (2, E) int64, undirected.

    Returns:
        (n,) int64 colours 0..; at most one more than the largest degree.
    """
    neighbours: list[list[int]] = [[] for _ in range(n_cells)]
    for head, tail in edges.T.tolist():
        neighbours[head].append(tail)
        neighbours[tail].append(head)
    colours = [-1] * n_cells
    for cell in sorted(range(n_cells), key=lambda c: -len(neighbours[c])):
        taken = {colours[other] for other in neighbours[cell]}
        colours[cell] = next(c for c in range(n_cells) if c not in taken)
    return torch.tensor(colours)


def _grid_weights(inside: Tensor, guide: Tensor | None, contrast: float | None) -> Tensor:
    """Return w_pq, (1 or B, 8, h, w), for the neighbours q = p + OFFSETS of each pixel p."""
    height, width = inside.shape[-2:]
    around = functional.pad(inside, (1, 1, 1, 1))
    around_guide = None if guide is None else functional.pad(guide, (1, 1, 1, 1))
    weights = []
    for i, j in OFFSETS:
        window = (..., slice(1 + i, 1 + i + height), slice(1 + j, 1 + j + width))
        weight = (inside & around[window]).float() / math.hypot(i, j)
        if guide is not None and around_guide is not None and contrast is not None:
            distance = (guide - around_guide[window]).square().sum(1)
            weight = weight * (-distance / (2 * contrast**2)).exp()
        weights.append(weight)
    return torch.stack(weights, dim=1)
