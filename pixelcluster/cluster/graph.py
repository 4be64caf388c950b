"""The graph of images: each and its nearest neighbours in shape, for the Potts prior and for the start.

Sources: Potts over neighbours, as between the pixels of one image (`model.prior`); self-tuning weights,
Zelnik-Manor and Perona, NIPS 2004.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from pixelcluster.cluster.shape import nearest, principal_axes, shape_descriptors
from pixelcluster.model.graph import SparseGraph

_CHUNK = 1000
_LEAST = 1e-6
"""Least affinity of two neighbours, however far apart they are, so that no image stands alone."""


@dataclass(frozen=True)
class ImageGraph:
    """Where the images of the fit lie, and who is whose neighbour.

    Attributes:
        mean: (F,) of the descriptors.
        axes: (F, E) principal axes of the descriptors.
        places: (N, E) images along the axes.
        radii: (N,) squared distance to the last neighbour, the scale of an image's surroundings.
        edges: (2, M) int64, each pair of neighbours once.
        weights: (M,) those of an image add up to about 1.
    """

    mean: Tensor
    axes: Tensor
    places: Tensor
    radii: Tensor
    edges: Tensor
    weights: Tensor

    @property
    def sparse(self) -> SparseGraph:
        """The graph as Gibbs wants it."""
        return SparseGraph(len(self.places), self.edges, self.weights)


def locate(images: Tensor, mean: Tensor, axes: Tensor) -> Tensor:
    """Return places (N, E) of images (N, C, S, S) uint8 along principal axes."""
    parts = [(shape_descriptors(part.float() / 255) - mean) @ axes for part in torch.split(images, _CHUNK)]
    return torch.cat(parts)


def build_graph(images: Tensor, n_neighbours: int) -> ImageGraph:
    """Return the graph of at least 2 images (N, C, S, S) uint8; fewer neighbours where N is small."""
    descriptors = torch.cat([shape_descriptors(part.float() / 255) for part in torch.split(images, _CHUNK)])
    mean, axes = principal_axes(descriptors)
    places = (descriptors - mean) @ axes
    count = min(n_neighbours, len(places) - 1)
    neighbours, squared = nearest(places, places, count, skip_self=True)
    radii = squared[:, -1].clamp_min(1e-12)
    affinity = torch.exp(-squared / (radii[:, None] * radii[neighbours]).sqrt())
    heads = torch.arange(len(places)).repeat_interleave(count)
    bridges, gaps = connect(places, torch.stack([heads, neighbours.flatten()]))
    heads, tails = torch.cat([heads, bridges[0]]), torch.cat([neighbours.flatten(), bridges[1]])
    affinity = torch.cat([affinity.flatten(), torch.exp(-gaps / radii[bridges].prod(0).sqrt())])
    pairs = torch.stack([heads, tails]).sort(dim=0).values
    # An edge found from both ends counts twice, one found from one end once.
    keys, place = torch.unique(pairs[0] * len(places) + pairs[1], return_inverse=True)
    weights = torch.zeros(len(keys)).index_add_(0, place, affinity.clamp_min(_LEAST))
    edges = torch.stack([keys // len(places), keys % len(places)])
    degree = torch.zeros(len(places)).index_add_(0, edges.flatten(), weights.repeat(2))
    return ImageGraph(mean, axes, places, radii, edges, weights / degree[edges].prod(0).sqrt())


def connect(places: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Return edges (2, M) that join a graph's components, each to its nearest other, and squared lengths.

    A partition of a graph in pieces would follow the pieces and not the distances between them.
    """
    found = torch.zeros(2, 0, dtype=torch.int64)
    lengths = torch.zeros(0)
    while True:
        both = torch.cat([edges, found], dim=1).numpy()
        matrix = sparse.coo_matrix((np.ones(both.shape[1]), both), shape=(len(places), len(places)))
        n_parts, of_part = connected_components(matrix, directed=False)
        if n_parts == 1:
            return found, lengths
        parts = torch.from_numpy(of_part).long()
        sizes = torch.bincount(parts)
        for part in range(n_parts):
            if part == int(sizes.argmax()):
                continue
            inside, outside = (parts == part).nonzero()[:, 0], (parts != part).nonzero()[:, 0]
            nearest_outside, squared = nearest(places[inside], places[outside], 1)
            first = int(squared[:, 0].argmin())
            bridge = torch.stack([inside[first], outside[nearest_outside[first, 0]]])
            found = torch.cat([found, bridge[:, None]], dim=1)
            lengths = torch.cat([lengths, squared[first]])


def neighbour_votes(graph: ImageGraph, probabilities: Tensor, places: Tensor, n_neighbours: int) -> Tensor:
    """Return what the neighbours of new images say of their labels, (B, K), each row adding up to 1.

    Args:
        graph: of the images of the fit.
        probabilities: (N, K) of their labels.
        places: (B, E) of the new images; new images do not see each other.
        n_neighbours: as in the fit.
    """
    count = min(n_neighbours, len(graph.places))
    neighbours, squared = nearest(places, graph.places, count)
    scale = (squared[:, -1:].clamp_min(1e-12) * graph.radii[neighbours]).sqrt()
    affinity = torch.softmax(-squared / scale, 1)  # exp alone is 0 for all beside copies of one image
    return torch.einsum("bn,bnk->bk", affinity, probabilities[neighbours].float())
