from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import dirichlet_multinomial

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.graph import PixelGrid
from pixelcluster.model.prior import (
    LabelPrior,
    estimate_proportions,
    estimate_rows,
    label_counts,
    log_prior,
    row_counts,
    sparse_proportions,
)

PI = torch.tensor([0.5, 0.3, 0.2])


def test_dirichlet_part_is_the_dirichlet_multinomial() -> None:
    label_map = torch.tensor([[[0, 1, 1], [2, 0, 1]]])
    actual = log_prior(label_map, LabelPrior(PI, concentration=0.5), PixelGrid(2, 3))
    # scipy counts the orders of a multiset, a label map is one of them.
    orders = math.factorial(6) / (math.factorial(2) * math.factorial(3))
    expected = dirichlet_multinomial(0.5 * 6 * PI.double().numpy(), 6).logpmf([2, 3, 1]) - math.log(orders)
    assert float(actual) == pytest.approx(expected, rel=1e-5)


def test_masked_cells_do_not_count() -> None:
    label_map = torch.tensor([[[0, 1, 1], [2, 0, 1]]])
    mask = torch.tensor([[[True, False, True], [True, True, False]]])
    assert label_counts(label_map, 3, mask).tolist() == [[2, 1, 1]]
    other = torch.where(mask, label_map, 2)
    prior = LabelPrior(PI, rows=PI.expand(2, 3), concentration=0.5, potts_weight=1.0)
    graph = PixelGrid(2, 3, mask=mask)
    assert log_prior(label_map, prior, graph, mask) == log_prior(other, prior, graph, mask)


def test_row_table_replaces_the_proportions_of_a_row() -> None:
    rows = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.2, 0.6]])
    prior = LabelPrior(PI, rows=rows)
    torch.testing.assert_close(prior.unary(2, 4).exp(), rows.T[:, :, None].expand(-1, -1, 4))
    between = prior.unary(8, 1).exp()
    torch.testing.assert_close(between.sum(0), torch.ones(8, 1))
    torch.testing.assert_close(LabelPrior(PI).unary(2, 2).exp(), PI[:, None, None].expand(-1, 2, 2))


def test_a_pruned_cluster_stays_pruned() -> None:
    pi = torch.tensor([0.5, 0.5, 0.0])
    unary = LabelPrior(pi, rows=pi.expand(4, 3), concentration=1.0).unary(4, 4)
    assert unary[2].eq(-torch.inf).all()
    assert unary[:2].isfinite().all()
    label_map = torch.tensor([[[0, 1]]])
    for concentration in (None, 0.5):
        assert log_prior(label_map, LabelPrior(pi, concentration=concentration), PixelGrid(1, 2)).isfinite()


def test_proportions_are_shrunk_or_pruned() -> None:
    counts = torch.tensor([90.0, 9.0, 1.0])
    torch.testing.assert_close(estimate_proportions(counts), counts / 100)
    torch.testing.assert_close(estimate_proportions(counts, 100.0), (counts + 100) / 400)
    assert estimate_proportions(counts, -5.0).tolist() == pytest.approx([85 / 89, 4 / 89, 0])
    with pytest.raises(PixelClusterError, match="every cluster"):
        estimate_proportions(counts, -100.0)


def test_row_counts_and_rows_recover_a_planted_profile() -> None:
    label_map = torch.tensor([0, 0, 1, 1])[:, None].expand(4, 6)
    one_hot = torch.nn.functional.one_hot(label_map, 2).permute(2, 0, 1)[None].float()
    counts = row_counts(one_hot, 2)
    assert counts.tolist() == [[12, 0], [0, 12]]
    mask = torch.ones(1, 4, 6, dtype=torch.bool)
    mask[:, 0] = False
    assert row_counts(one_hot, 2, mask).tolist() == [[6, 0], [0, 12]]
    half = torch.tensor([0.5, 0.5])
    torch.testing.assert_close(estimate_rows(counts, half, 0.0, 0.0), torch.eye(2))
    soft = estimate_rows(counts, half, 12.0, 0.0)
    torch.testing.assert_close(soft, torch.tensor([[0.75, 0.25], [0.25, 0.75]]))
    assert estimate_rows(counts, half, 0.0, 1.0)[0, 1] > 0


@pytest.mark.parametrize(
    "change",
    [
        {"proportions": torch.tensor([0.5, 0.6])},
        {"proportions": torch.tensor([1.5, -0.5])},
        {"rows": torch.ones(4, 2)},
        {"concentration": 0.0},
        {"contrast": -1.0},
        {"potts_weight": -1.0},
    ],
)
def test_impossible_priors_are_refused(change: dict) -> None:
    with pytest.raises(PixelClusterError):
        LabelPrior(**{"proportions": PI, **change})


def test_pruning_takes_no_more_than_half_a_balanced_share() -> None:
    """60 clusters of 200 images: 2 % of them, 240, would be more than each has."""
    assert (sparse_proportions(torch.full((60,), 200.0), 0.02) > 0).all()
    found = sparse_proportions(torch.tensor([900.0, 90.0, 10.0]), 0.02)
    torch.testing.assert_close(found, torch.tensor([880.0, 70.0, 0.0]) / 950)
