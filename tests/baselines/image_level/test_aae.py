from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pixelcluster.baselines.image_level.aae import Aae, judged
from tests.baselines.image_level.planted import agreement, planted


def test_judgement_is_the_logistic_loss():
    codes = torch.tensor([[0.0], [2.0]])
    real = (math.log(2) + math.log1p(math.exp(-2))) / 2
    fake = (math.log(2) + math.log1p(math.exp(2))) / 2
    assert judged(nn.Identity(), codes, True).item() == pytest.approx(real)
    assert judged(nn.Identity(), codes, False).item() == pytest.approx(fake)


def test_planted_clusters_are_found_and_the_reconstruction_improves(monkeypatch):
    monkeypatch.setattr("pixelcluster.baselines.image_level.aae._EPOCHS", 100)
    monkeypatch.setattr("pixelcluster.baselines.image_level.aae._WIDTH", 50)
    images, _ = planted()
    unseen, labels = planted(seed=1)
    method = Aae(3, minutes=1).fit(images)
    assert agreement(method.predict(unseen), labels) > 0.95
    assert method.history_[-1] < method.history_[0]
