from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pixelcluster.baselines.image_level.iic import Iic, mutual_information
from tests.baselines.image_level.planted import agreement, planted


def test_information_by_brute_force():
    random = torch.Generator().manual_seed(0)
    first, second = (torch.randn(8, 3, generator=random).softmax(1) for _ in range(2))
    joint = np.zeros((3, 3))
    for p, q in zip(first.numpy(), second.numpy(), strict=True):
        joint += (np.outer(p, q) + np.outer(q, p)) / 16
    expected = sum(
        joint[i, j] * math.log(joint[i, j] / (joint[i].sum() * joint[:, j].sum()))
        for i in range(3)
        for j in range(3)
    )
    assert mutual_information(first, second).item() == pytest.approx(expected, rel=1e-4)


def test_certain_balanced_agreement_is_log_k_and_one_cluster_nothing():
    one_hot = torch.eye(4).repeat(3, 1)
    assert mutual_information(one_hot, one_hot).item() == pytest.approx(math.log(4), rel=1e-5)
    single = torch.eye(4)[[0] * 12]
    assert mutual_information(single, single).item() == pytest.approx(0, abs=1e-5)


def coarse(seed):
    images, labels = planted(height=4, width=4, seed=seed)
    return images.repeat(3, axis=1).repeat(3, axis=2), labels


def test_planted_clusters_are_found_and_information_grows(monkeypatch):
    monkeypatch.setattr("pixelcluster.baselines.image_level.iic._EPOCHS", 100)
    # Coarse: what a warp leaves of independent pixels no network can know again.
    images, (unseen, labels) = coarse(0)[0], coarse(1)
    method = Iic(3, minutes=1).fit(images)
    assert agreement(method.predict(unseen), labels) > 0.95
    assert method.history_[-1] < method.history_[0]
