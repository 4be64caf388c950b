from __future__ import annotations

import pytest
import torch

from pixelcluster.baselines.image_level.dec import Dec, soft_assignment, target_distribution
from tests.baselines.image_level.planted import agreement, planted


def test_soft_assignment_by_hand():
    centres = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    q = soft_assignment(torch.tensor([[0.0, 0.0], [3.0, 4.0], [1.5, 2.0]]), centres)
    assert q.flatten().tolist() == pytest.approx([26 / 27, 1 / 27, 1 / 27, 26 / 27, 0.5, 0.5])


def test_target_distribution_by_brute_force():
    q = torch.rand(6, 4, generator=torch.Generator().manual_seed(0)).softmax(1)
    p = target_distribution(q)
    for i in range(6):
        terms = [float(q[i, j] ** 2 / sum(q[:, j])) for j in range(4)]
        assert p[i].tolist() == pytest.approx([term / sum(terms) for term in terms])


def test_target_sharpens_equal_clusters():
    q = torch.tensor([[0.7, 0.3], [0.3, 0.7]])
    assert target_distribution(q)[0, 0] == pytest.approx(0.49 / 0.58)


def test_planted_clusters_are_found_and_the_divergence_falls(monkeypatch, small_autoencoder):
    monkeypatch.setattr("pixelcluster.baselines.image_level.dec._PRETRAINING_EPOCHS", 200)
    monkeypatch.setattr("pixelcluster.baselines.image_level.dec._TOLERANCE", -1.0)
    monkeypatch.setattr("pixelcluster.baselines.image_level.dec._EPOCHS", 10)
    images, _ = planted()
    unseen, labels = planted(seed=1)
    method = Dec(3, minutes=1).fit(images)
    assert agreement(method.predict(unseen), labels) > 0.98
    assert len(method.history_) == 10
    assert method.history_[-1] < method.history_[0]
