from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from pixelcluster.errors import PixelClusterError
from pixelcluster.variational.information import Weights
from pixelcluster.variational.train import Encoded, MixtureVae, TrainSettings, train

SETTINGS = TrainSettings(
    steps=40,
    learning_rate=1e-2,
    n_latents=2,
    heads=3,
    race=0.5,
    weights=Weights(evidence=0.1, information=0.3, balance=4.0, agreement=1.0),
)
MEANS = torch.tensor([[2.0, 0.0, 0.0], [-1.0, 2.0, 0.0], [-1.0, -2.0, 1.0]])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MixtureVae(nn.Linear(3, 8), 8, 3, 3, SETTINGS)


def encoder(model):
    random = torch.Generator().manual_seed(1)

    def encode():
        labels = torch.randint(3, (64,), generator=random)
        plain, view = (MEANS[labels] + 0.3 * torch.randn(64, 3, generator=random) for _ in range(2))
        return Encoded(model.trunk(plain), plain, (model.trunk(plain), model.trunk(view)))

    return encode


def run(model, settings=SETTINGS, **limits):
    return train(model, encoder(model), settings, torch.Generator().manual_seed(2), **limits)


def test_the_curve_falls_and_one_head_is_left(model):
    curve = run(model, replace(SETTINGS, steps=120))
    assert len(curve) == 120
    first, last = ({name: curve[i][name] for name in ("total", "elbo", "information")} for i in (0, -1))
    assert last["total"] < first["total"] - 0.2
    assert last["elbo"] > first["elbo"] + 1
    assert last["information"] == pytest.approx(math.log(3), abs=0.15)
    assert len(model.heads) == 1
    assert not model.training
    found = model.head.log_q(model.trunk(MEANS)).argmax(1)
    assert sorted(found.tolist()) == [0, 1, 2]


def test_the_head_of_the_lowest_loss_is_kept(model):
    heads = list(model.heads)
    with torch.no_grad():  # a head that puts everything in one cluster tells nothing
        for head in (heads[0], heads[2]):
            head.classifier.weight.zero_()
            head.classifier.bias.copy_(torch.tensor([9.0, 0.0, 0.0]))
    run(model, replace(SETTINGS, steps=20, race=1.0))
    assert model.head is heads[1]


def test_no_agreement_is_a_weight_of_zero(model):
    weights = replace(SETTINGS.weights, evidence=3.0, agreement=0.0, information=0.0)
    curve = run(model, replace(SETTINGS, steps=20, weights=weights))
    assert curve[-1]["total"] == pytest.approx(-curve[-1]["elbo"], rel=1e-4)


def test_time_ends_the_training_after_one_step_at_least(model):
    before = [value.clone() for value in model.trunk.parameters()]
    started = time.monotonic()
    assert run(model, replace(SETTINGS, steps=10**9), deadline=started + 0.3)
    assert time.monotonic() - started < 1.5
    model.heads = nn.ModuleList([model.head])
    run(model, deadline=time.monotonic() - 1)
    assert not all(torch.equal(a, b) for a, b in zip(before, model.trunk.parameters(), strict=True))


def test_a_loss_that_is_not_finite_is_refused(model):
    with torch.no_grad():
        model.trunk.weight.fill_(torch.inf)
    with pytest.raises(PixelClusterError, match="at step 1; lower the learning rate"):
        run(model)
