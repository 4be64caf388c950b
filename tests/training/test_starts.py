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
