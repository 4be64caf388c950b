"""The directions of the largest curvature, kept between the visits of a fit."""

from __future__ import annotations

import pytest
import torch

from pixelcluster.sampling import langevin
from pixelcluster.training.fit import Fit
from pixelcluster.training.fit_state import fit_state, load_fit
from tests.synthetic import cells, settings

CPU = torch.device("cpu")


def test_a_fit_looks_for_the_stiffest_direction_once_and_follows_it(monkeypatch) -> None:
    images, _ = cells(3)
    fit = Fit(images, settings(), seed=0, device=CPU)
    known, measure = [], langevin.inverse_curvature

    def watched(streams, state, log_prob_fn, direction):
        known.append(bool(direction.flatten(1).any(1).all()))
        return measure(streams, state, log_prob_fn, direction)

    monkeypatch.setattr(langevin, "inverse_curvature", watched)
    for _ in range(3):
        fit.visit([0, 1, 2])
    assert known == [False, True, True]
    before = fit.chains.directions([1])
    fit.visit([1])
    assert not torch.equal(fit.chains.directions([1]), before)


def test_directions_are_part_of_a_checkpoint_and_checked() -> None:
    images, _ = cells(2)
    fit = Fit(images, settings(), seed=0, device=CPU)
    fit.visit([0, 1])
    state = fit_state(fit)
    resumed = Fit(images, settings(), seed=0, device=CPU, state=state)
    assert torch.equal(resumed.chains.directions([0, 1]), fit.chains.directions([0, 1]))
    state["chains"]["direction/1"] = torch.zeros(1, 1, 1)
    with pytest.raises(ValueError, match="chain 1 has another size"):
        load_fit(resumed, state)
