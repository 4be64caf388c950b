from __future__ import annotations

import math

import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.graph import OFFSETS, PixelGrid, SparseGraph, greedy_colouring

H, W, K = 5, 4, 3


def grid_edges(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges (2, E) and weights (E,) of the 8-neighbour grid, each once."""
    edges, weights = [], []
    for i in range(height):
        for j in range(width):
            for di, dj in OFFSETS[4:]:
                if 0 <= i + di < height and 0 <= j + dj < width:
                    edges.append((i * width + j, (i + di) * width + j + dj))
                    weights.append(1 / math.hypot(di, dj))
    return torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T, torch.tensor(weights)


def all_votes(graph, label_map: torch.Tensor) -> torch.Tensor:
    """Votes of all cells, (B, K, *shape)."""
    votes = torch.full((len(label_map), K, *graph.shape), torch.nan)
    for colour, cells in enumerate(graph.colours):
        votes[cells] = graph.votes(label_map, colour, K)
    return votes


@pytest.mark.parametrize("shape", [(H, W), (1, 1), (1, 4), (2, 2)])
def test_sparse_graph_and_pixel_grid_agree_with_a_matrix(shape: tuple[int, int]) -> None:
    n = math.prod(shape)
    edges, weights = grid_edges(*shape)
    dense = torch.zeros(n, n)
    dense[edges[0], edges[1]] = weights
    dense += dense.T.clone()
    label_map = torch.randint(K, (2, *shape), generator=torch.Generator().manual_seed(0))
    one_hot = torch.nn.functional.one_hot(label_map.flatten(1), K).float()
    expected = (dense @ one_hot).transpose(1, 2)
    torch.testing.assert_close(all_votes(PixelGrid(*shape), label_map).flatten(2), expected)
    torch.testing.assert_close(all_votes(SparseGraph(n, edges, weights), label_map.flatten(1)), expected)


def test_soft_votes_of_one_hot_are_votes() -> None:
    graph = SparseGraph(H * W, *grid_edges(H, W))
    label_map = torch.randint(K, (2, *graph.shape), generator=torch.Generator().manual_seed(0))
    one_hot = torch.nn.functional.one_hot(label_map, K).movedim(-1, 1).float()
    for colour in range(len(graph.colours)):
        torch.testing.assert_close(graph.soft_votes(one_hot, colour), graph.votes(label_map, colour, K))


@pytest.mark.parametrize("period", [2, 3, 5])
def test_colours_partition_the_grid_and_keep_their_distance(period: int) -> None:
    graph = PixelGrid(7, 6, period=period)
    seen = torch.zeros(7, 6)
    for cells in graph.colours:
        own = torch.zeros(7, 6)
        own[cells] = 1
        seen += own
        rows, columns = own.nonzero(as_tuple=True)
        distance = torch.maximum((rows[:, None] - rows).abs(), (columns[:, None] - columns).abs())
        assert (distance + period * torch.eye(len(rows))).min() >= period
    assert torch.equal(seen, torch.ones(7, 6))


def test_greedy_colouring_is_proper() -> None:
    edges = torch.randint(40, (2, 150), generator=torch.Generator().manual_seed(3))
    edges = edges[:, edges[0] != edges[1]]
    colours = greedy_colouring(40, edges)
    assert (colours[edges[0]] != colours[edges[1]]).all()
    degrees = torch.bincount(edges.flatten(), minlength=40)
    assert colours.max() <= degrees.max()


def test_masked_cells_send_and_receive_no_votes() -> None:
    mask = torch.ones(1, H, W, dtype=torch.bool)
    mask[0, 2, 1] = False
    label_map = torch.zeros(1, H, W, dtype=torch.int64)
    votes = all_votes(PixelGrid(H, W, mask=mask), label_map)[0, 0]
    full = all_votes(PixelGrid(H, W), label_map)[0, 0]
    assert votes[2, 1] == 0
    assert full[2, 2] - votes[2, 2] == 1
    torch.testing.assert_close(full[1, 0] - votes[1, 0], torch.tensor(math.sqrt(0.5)))


def test_contrast_weakens_edges_of_the_guide() -> None:
    guide = torch.zeros(1, 1, H, W)
    guide[..., 2:] = 0.6
    weights = PixelGrid(H, W, guide=guide, contrast=0.3).weights
    right = OFFSETS.index((0, 1))
    assert weights[0, right, 2, 0] == 1
    torch.testing.assert_close(weights[0, right, 2, 1], torch.tensor(math.exp(-2.0)))


@pytest.mark.parametrize(
    "action",
    [
        lambda: PixelGrid(3, 3, period=1),
        lambda: PixelGrid(3, 3, contrast=0.1),
        lambda: PixelGrid(3, 3, guide=torch.zeros(1, 3, 3, 3), contrast=0.0),
        lambda: PixelGrid(3, 3, guide=torch.zeros(1, 3, 6, 6), contrast=0.1),
        lambda: SparseGraph(3, torch.tensor([[0, 1]]), torch.ones(2)),
        lambda: SparseGraph(3, torch.tensor([[0], [3]]), torch.ones(1)),
        lambda: SparseGraph(3, torch.tensor([[1], [1]]), torch.ones(1)),
    ],
)
def test_what_is_no_graph_is_refused(action) -> None:
    with pytest.raises(PixelClusterError):
        action()
