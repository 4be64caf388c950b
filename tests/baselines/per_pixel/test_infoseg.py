from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pixelcluster.baselines.per_pixel.infoseg import _SHARPNESS, InfoSeg, assigned, jensen_shannon
from pixelcluster.baselines.per_pixel.network import largest


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
    """Far better than after one step: clusters of an untrained network hold about half of the pixels."""
    images, labels = blocks
    settings = {"seed": 0, "crop": 64, "batch_size": 4, "device": "cpu", "learning_rate": 0.0005}
    method = InfoSeg(3, steps=60, **settings).fit(images)
    assert np.mean(method.losses_[-10:]) < 0.7 * method.losses_[0]
    assert found(InfoSeg(3, **settings, steps=1).fit(images), images, labels) < 0.65
    assert found(method, images, labels) > 0.8


def test_the_global_features_are_of_the_used_pixels_in_prediction_too():
    rng = np.random.default_rng(0)
    method = InfoSeg(3, steps=2, crop=64, batch_size=2, device="cpu").fit(
        [rng.random((64, 64, 3), np.float32)]
    )
    image = rng.random((64, 192, 3)).astype(np.float32)
    mask = np.zeros((64, 192), bool)
    mask[:, :64] = True
    cells = torch.from_numpy(mask[::4, ::4])[None].float()
    seen = torch.from_numpy(image).permute(2, 0, 1)[None]
    with torch.no_grad():
        scores = method.scores(seen, cells)
        changed = torch.where(torch.arange(192) < 128, seen, 1 - seen)
        other = method.scores(changed, cells)
        whole = method.scores(seen, torch.ones_like(cells)), method.scores(changed, torch.ones_like(cells))
    assert torch.allclose(scores[..., :16], other[..., :16], rtol=0, atol=1e-6)
    assert not torch.allclose(whole[0][..., :16], whole[1][..., :16], rtol=0, atol=1e-6)
    assert np.array_equal(method.predict(image, mask), largest(scores, (64, 192)))
