from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pixelcluster.baselines.per_pixel.infoseg import _SHARPNESS, InfoSeg, assigned, jensen_shannon


def test_a_place_takes_the_global_feature_of_its_class():
    axes = torch.eye(3)
    local = axes[torch.tensor([[0, 2]])].permute(2, 0, 1)[None]
    own = assigned(local, axes[None])
    weight = math.exp(_SHARPNESS) / (math.exp(_SHARPNESS) + 2)
    assert own[0, 0, 0, 0] == pytest.approx(weight)
    assert own[0, 2, 0, 1] == pytest.approx(weight)
    assert own[0, 1, 0, 0] == pytest.approx((1 - weight) / 2)


def test_the_estimate_has_its_closed_form():
    # Two images, orthogonal features, each equal to its own global feature: T = tau at home, 0 abroad.
    local = torch.eye(2)[:, :, None, None].expand(2, 2, 3, 3)
    value = jensen_shannon(local, local, torch.ones(2, 3, 3))
    assert float(value) == pytest.approx(math.log1p(math.exp(-_SHARPNESS)) + math.log(2), abs=1e-6)
    # Opposite features: -tau abroad.
    opposite = torch.stack([local[0], -local[0]])
    value = jensen_shannon(opposite, opposite, torch.ones(2, 3, 3))
    assert float(value) == pytest.approx(2 * math.log1p(math.exp(-_SHARPNESS)), abs=1e-6)


def test_masked_cells_do_not_count():
    rng = torch.Generator().manual_seed(0)
    local, own = (torch.randn(3, 4, 5, 5, generator=rng) for _ in range(2))
    cells = (torch.rand(3, 5, 5, generator=rng) < 0.5).float()
    changed = torch.where(cells[:, None] > 0, local, 7.0)
    assert jensen_shannon(local, own, cells) == jensen_shannon(changed, own, cells)


def test_planted_blocks_are_found(found, blocks):
    images, labels = blocks
    method = InfoSeg(3, steps=80, crop=64, batch_size=4, device="cpu").fit(images)
    assert np.mean(method.losses_[-10:]) < 0.7 * method.losses_[0]
    assert found(method, images, labels) > 0.5
