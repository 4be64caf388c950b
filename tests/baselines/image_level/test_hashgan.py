from __future__ import annotations

import math

import pytest
import torch

from pixelcluster.baselines.image_level.hashgan import HashGan, clustering_loss
from tests.baselines.image_level.planted import agreement, planted


def test_loss_of_certain_balanced_and_of_collapsed_answers():
    certain = 50 * torch.eye(4).repeat(2, 1)
    assert clustering_loss(certain, certain).item() == pytest.approx(-math.log(4), abs=1e-5)
    collapsed = certain[[0] * 8]
    assert clustering_loss(collapsed, collapsed).item() == pytest.approx(0, abs=1e-5)
    unsure = torch.zeros(8, 4)
    assert clustering_loss(unsure, unsure).item() == pytest.approx(math.log(4), abs=1e-5)


def test_the_copy_learns_from_the_image_not_the_other_way():
    logits, moved = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
    moved.requires_grad_()
    clustering_loss(logits, moved).backward()
    assert torch.allclose(moved.grad, (moved.softmax(1) - logits.softmax(1)) / 6, atol=1e-6)


def test_planted_clusters_are_found_and_the_loss_falls(monkeypatch):
    monkeypatch.setattr("pixelcluster.baselines.image_level.hashgan._EPOCHS", 40)
    images, _ = planted()
    unseen, labels = planted(seed=1)
    method = HashGan(3, minutes=1).fit(images)
    assert agreement(method.predict(unseen), labels) > 0.95
    assert method.history_[-1] < method.history_[0]
