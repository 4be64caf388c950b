from __future__ import annotations

import math

import pytest
import torch

from pixelcluster.baselines.image_level.cvae import Cvae, m2_bound
from tests.baselines.image_level.planted import agreement, planted


def test_bound_by_brute_force():
    random = torch.Generator().manual_seed(0)
    log_y = torch.randn(4, 3, generator=random).log_softmax(1)
    reconstruction, divergence = (torch.rand(4, 3, generator=random) for _ in range(2))
    found = m2_bound(log_y, reconstruction, divergence)
    for i in range(4):
        expected = 0.0
        for k in range(3):
            q = math.exp(log_y[i, k])
            expected += q * (float(reconstruction[i, k] + divergence[i, k]) + math.log(q) - math.log(1 / 3))
        assert found[i].item() == pytest.approx(expected, rel=1e-5)


def test_best_y_is_the_posterior_of_the_costs():
    """The bound over q(y | x) is smallest, and equals -log of the mean of exp(-cost), at softmax(-cost)."""
    cost = torch.tensor([[1.0, 2.0, 4.0]])
    best = m2_bound((-cost).log_softmax(1), cost, torch.zeros(1, 3))
    assert best.item() == pytest.approx(-torch.log((-cost).exp().mean()).item())
    assert m2_bound(torch.zeros(1, 3).log_softmax(1), cost, torch.zeros(1, 3)) > best


def test_planted_clusters_are_found_and_the_bound_rises(monkeypatch):
    monkeypatch.setattr("pixelcluster.baselines.image_level.cvae._EPOCHS", 100)
    images, _ = planted()
    unseen, labels = planted(seed=1)
    method = Cvae(3, minutes=1).fit(images)
    assert agreement(method.predict(unseen), labels) > 0.95
    assert method.history_[-1] < method.history_[0]
