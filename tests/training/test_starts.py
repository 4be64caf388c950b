from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from pixelcluster.errors import PixelClusterError
from pixelcluster.training.starts import count_distinct, spectral_embedding, start_means

CENTRES = torch.tensor([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]])


def blobs(n_each: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(3).repeat(n_each)
    return CENTRES[labels] + 0.2 * torch.randn(
        len(labels), 3, generator=torch.Generator().manual_seed(1)
    ), labels


@pytest.mark.parametrize("kind", ["kmeans", "spectral"])
def test_separate_blobs_are_found(kind) -> None:
    points, labels = blobs()
    means = start_means(kind, points, 3, seed=4)
    nearest = torch.cdist(CENTRES, means).min(1)
    assert nearest.values.max() < 0.15
    assert adjusted_rand_score(labels, torch.cdist(points, means).argmin(1)) == 1
    torch.testing.assert_close(means, start_means(kind, points, 3, seed=4))


def test_random_labels_give_means_near_the_middle() -> None:
    points, _ = blobs(400)
    means = start_means("random", points, 3, seed=0)
    assert (means - points.mean(0)).norm(dim=1).max() < 0.5
    assert not torch.equal(means, start_means("random", points, 3, seed=1))


def test_spectral_rows_are_unit_and_separate_the_parts_of_the_graph() -> None:
    points, labels = blobs(40)
    rows = spectral_embedding(points.numpy(), 3)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    cosine = np.abs(rows @ rows.T)
    same = labels[:, None].numpy() == labels.numpy()
    assert cosine[same].min() > 0.9
    assert cosine[~same].max() < 0.3


@pytest.mark.parametrize("kind", ["random", "kmeans", "spectral"])
def test_more_clusters_than_distinct_cells(kind) -> None:
    points = CENTRES[torch.tensor([0, 1, 0, 1, 0, 1, 1])]
    with pytest.raises(PixelClusterError, match="3 clusters wanted of 2 distinct label cells"):
        start_means(kind, points, 3)
    assert start_means("kmeans", points, 2).shape == (2, 3)


def test_distinct_cells_ignore_rounding() -> None:
    points = CENTRES[torch.arange(3).repeat(50)]
    assert count_distinct(points) == 3
    assert count_distinct(points * (1 + 1e-7 * torch.randn(150, 3))) == 3
    assert count_distinct(points[:1]) == 1


def test_distinct_cells_are_counted_where_they_are_dense() -> None:
    """Nearly all neighbours of a dense set are closer than rounding, yet it is no single cell."""
    line = torch.linspace(-1.7, 1.7, 1_000_000)[:, None]
    assert count_distinct(line) > 1000
    assert count_distinct(torch.linspace(0, 1e-5, 50)[:, None]) == 1
    assert count_distinct(9e-5 * torch.arange(10.0)[:, None]) <= 10


@pytest.mark.parametrize("seed", [20_261_122_000, (2**32 - 1) * 1000 + 3])
def test_seeds_of_restarts_may_be_large(seed) -> None:
    points, _ = blobs(10)
    assert start_means("kmeans", points, 3, seed=seed).isfinite().all()


def test_the_leading_eigenvectors_are_the_largest() -> None:
    """Three pairs, each its own part: eigenvalues +1 join the two of a pair, -1 set them apart."""
    pairs = CENTRES.repeat_interleave(2, 0).numpy() + np.float32(1e-3) * np.eye(6, 3, dtype=np.float32)
    rows = spectral_embedding(pairs, 3)
    np.testing.assert_allclose((rows[::2] * rows[1::2]).sum(1), 1, atol=1e-3)


def test_cells_that_have_nothing_in_common_have_a_graph() -> None:
    star = torch.tensor([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])
    assert start_means("spectral", star, 2).isfinite().all()
