"""The frame of moments undoes what it claims to, and neighbours are the nearest."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from pixelcluster.cluster.graph import build_graph, connect, neighbour_votes
from pixelcluster.cluster.shape import foreground, nearest, principal_axes, shape_descriptors


def glyph(shear: float = 0.0, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """Return an image (1, 1, 28, 28) of a fat L under an affine map."""
    canvas = np.zeros((28, 28), np.float32)
    cv2.line(canvas, (11, 7), (11, 20), 1.0, 3)
    cv2.line(canvas, (11, 20), (17, 20), 1.0, 3)
    matrix = np.array([[scale, shear, shift], [0, scale, shift]])
    matrix[:, 2] += 14 - matrix[:, :2] @ [14, 14]
    return torch.from_numpy(cv2.warpAffine(canvas, matrix, (28, 28)))[None, None]


def test_slant_size_and_place_do_not_matter() -> None:
    """Descriptors of a glyph and of its maps are nearer than those of its mirror image."""
    plain = shape_descriptors(glyph())
    moved = shape_descriptors(torch.cat([glyph(shear=0.25), glyph(scale=0.8), glyph(shift=3.0)]))
    other = shape_descriptors(glyph().flip(3))
    assert (moved - plain).norm(dim=1).max() < 0.6 * float((other - plain).norm())


def test_dark_on_light_is_light_on_dark() -> None:
    """Mass is the distance from the border."""
    torch.testing.assert_close(shape_descriptors(1 - glyph()), shape_descriptors(glyph()))


def test_noise_at_the_border_is_no_mass() -> None:
    """Noise everywhere leaves the background empty."""
    random = torch.Generator().manual_seed(0)
    noisy = glyph() + 0.02 * torch.randn(1, 1, 28, 28, generator=random)
    assert (foreground(noisy)[glyph() == 0] > 0).float().mean() < 0.1


def test_axes_are_those_of_the_covariance() -> None:
    """The leading axes keep the most variance, for few and for many descriptors."""
    random = torch.Generator().manual_seed(0)
    values = torch.randn(400, 200, generator=random) * torch.linspace(3, 0.1, 200)
    for part in (values, values[:150]):
        mean, axes = principal_axes(part)
        kept = ((part - mean) @ axes).square().sum() / (part - mean).square().sum()
        best = torch.linalg.svdvals(part - mean).square()
        assert abs(float(kept - best[:128].sum() / best.sum())) < 1e-4


def test_neighbours_are_scikit_learns() -> None:
    """Exact search, an image is not its own neighbour."""
    places = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    found, squared = nearest(places, places, 4, skip_self=True)
    distances, wanted = NearestNeighbors(n_neighbors=5).fit(places.numpy()).kneighbors(places.numpy())
    assert np.array_equal(found.numpy(), wanted[:, 1:])
    np.testing.assert_allclose(squared.sqrt().numpy(), distances[:, 1:], atol=1e-3)


def test_pieces_are_joined_by_their_shortest_gap() -> None:
    """Two far pairs get one edge between their nearest ends."""
    places = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    bridges, lengths = connect(places, torch.tensor([[0, 2], [1, 3]]))
    assert sorted(bridges[:, 0].tolist()) == [1, 2]
    assert lengths.tolist() == [81.0]


def test_graph_and_votes() -> None:
    """Weights are symmetric and normalised; a new image is voted for by the images it resembles."""
    images = torch.cat([glyph(shear=s) for s in np.linspace(-0.3, 0.3, 12)])
    mirrored = images.flip(3)
    pixels = (torch.cat([images, mirrored]) * 255).byte()
    graph = build_graph(pixels, 4)
    labels = torch.arange(24) // 12
    assert (labels[graph.edges[0]] == labels[graph.edges[1]]).float().mean() > 0.9
    votes = neighbour_votes(graph, torch.eye(2)[labels], graph.places, 4)
    torch.testing.assert_close(votes.sum(1), torch.ones(24))
    assert torch.equal(votes.argmax(1), labels)
