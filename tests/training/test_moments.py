from __future__ import annotations

import pytest
import torch

from pixelcluster.training.moments import ClusterMoments

CPU = torch.device("cpu")


def moments(points: torch.Tensor, labels: torch.Tensor, parts: int = 3) -> ClusterMoments:
    sums = ClusterMoments(3, points.shape[1], CPU)
    for own, of_own in zip(points.chunk(parts), labels.chunk(parts), strict=True):
        sums.add(own, of_own)
    return sums


def test_many_cells_give_their_own_means_and_covariances() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (40_000,), generator=random)
    scales = torch.tensor([[1.0, 0.2], [0.2, 1.0]])
    # Far from 0, where sums of squares lose digits in float32.
    points = torch.randn(40_000, 2, generator=random) * scales[labels] + torch.tensor([300.0, -200.0])
    found = moments(points, labels)
    for k in range(2):
        own = points[labels == k]
        torch.testing.assert_close(found.means()[k], own.mean(0))
        torch.testing.assert_close(found.covariances()[k], own.T.double().cov(), atol=2e-3, rtol=0)
    assert found.spread() == pytest.approx((1.04 / 2) ** 0.5, abs=5e-3)


def test_few_cells_are_shrunk_to_the_common_spread() -> None:
    points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 5.0]])
    found = moments(points, torch.tensor([0, 0, 1]), parts=1)
    spread = (2 / 6) ** 0.5
    assert found.spread() == pytest.approx(spread)
    # 10 D = 20 pseudo-cells beside two, one and none.
    wanted = torch.stack(
        [torch.diag(torch.tensor([2.0, 0.0]) + 20 * spread**2) / 22, 20 / 21 * spread**2 * torch.eye(2)]
    )
    torch.testing.assert_close(found.covariances()[:2], wanted.double())
    torch.testing.assert_close(found.covariances()[2], spread**2 * torch.eye(2).double())
    assert found.means()[2].tolist() == [0, 0]


def test_cells_on_their_means_leave_some_noise() -> None:
    assert moments(torch.ones(4, 2), torch.zeros(4, dtype=torch.int64)).spread() == 1e-3


def test_parts_are_summed_over_processes() -> None:
    random = torch.Generator().manual_seed(1)
    points, labels = torch.randn(60, 4, generator=random), torch.randint(3, (60,), generator=random)
    half = moments(points, labels)
    half.reduce(lambda own: 2 * own)
    twice = moments(points.repeat(2, 1), labels.repeat(2))
    torch.testing.assert_close(half.covariances(), twice.covariances())
