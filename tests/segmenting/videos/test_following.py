from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from pixelcluster.model.dynamic import log_transition
from pixelcluster.segmenting.videos import following
from pixelcluster.segmenting.videos.following import Trail, backward_flow, carry


def texture(rng: np.random.Generator, height: int = 80, width: int = 100) -> np.ndarray:
    smooth = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)), (0, 0), 2)
    return (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def test_the_flow_of_a_shift_brings_fields_along(rng) -> None:
    large = texture(rng, 100, 120)
    before, now = large[10:90, 13:113], large[10:90, 10:110]  # everything moved 3 to the right
    flow = backward_flow(now, before)
    inner = flow[10:-10, 10:-10]
    assert np.abs(inner - (-3, 0)).mean() < 0.3
    field = torch.rand(2, 80, 100, generator=torch.Generator().manual_seed(0))
    exact = np.broadcast_to(np.float32((-3, 0)), (80, 100, 2))
    moved = carry(field, exact)
    torch.testing.assert_close(moved[:, :, 3:], field[:, :, :-3])
    assert not moved[:, :, :3].any()


def test_noise_alone_does_not_move(rng) -> None:
    still = texture(rng).astype(float)
    before, now = ((still + rng.normal(0, 12, still.shape)).clip(0, 255).astype(np.uint8) for _ in range(2))
    assert (np.abs(backward_flow(now, before)).max(2) > 0.5).mean() < 0.01


def test_a_motion_that_explains_a_frame_but_little_better_is_none(rng, monkeypatch) -> None:
    still = texture(rng).astype(float)
    before, now = ((still + rng.normal(0, 4, still.shape)).clip(0, 255).astype(np.uint8) for _ in range(2))
    assert not backward_flow(now, before).any()
    monkeypatch.setattr(following, "_CLEARLY", 1.0)  # whatever explains it better at all
    assert backward_flow(now, before).any(2).mean() > 0.9


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 40, 3), (15, 15, 3), (16, 33_000, 3)])
def test_pictures_too_small_or_large_for_a_flow(shape) -> None:
    flow = backward_flow(np.zeros(shape, np.uint8), np.full(shape, 200, np.uint8))
    field = torch.rand(1, *shape[:2])
    assert torch.equal(carry(field, flow), field)


def test_what_comes_into_view_has_no_history(rng) -> None:
    before = texture(rng)
    now = before.copy()
    now[30:50, 40:60] = [0, 255, 0]
    trail, base = Trail(), torch.tensor([0.7, 0.3])[:, None, None]
    trail.leave(before, torch.tensor([0.0, 1.0])[:, None, None].expand(2, 80, 100))
    history = trail.lead(now, base, None)
    assert history is not None
    assert float(history[:, 32:48, 42:58].abs().max()) < 1e-3
    assert float(history[1, :, :20].min()) > 0.9


def test_a_trail_hands_on_the_marginals(rng) -> None:
    trail, picture, base = Trail(), texture(rng, 40, 60), torch.full((2, 1, 1), 0.5)
    likelihood = torch.zeros(2, 20, 30)
    assert trail.lead(picture, base, likelihood) is None
    marginals = torch.rand(1, 20, 30, generator=torch.Generator().manual_seed(0))
    marginals = torch.cat([marginals, 1 - marginals])
    trail.leave(picture, marginals)  # on a grid half as fine as the picture
    agrees = (marginals > 0.5) * 4.0
    history = trail.lead(picture, base, agrees)
    assert history is not None
    stay = 0.99
    torch.testing.assert_close(history, log_transition(marginals, base, stay), atol=1e-3, rtol=1e-3)
    thinned = trail.lead(picture, base, agrees[:, ::2, ::2], thin=2)
    assert thinned is not None
    torch.testing.assert_close(thinned, history, atol=0.05, rtol=0.05)
    after_a_cut = trail.lead(picture, base, -100 * agrees)
    assert after_a_cut is not None
    assert float(after_a_cut.abs().max()) < 1e-3
    assert trail.lead(picture, base, None) is not None
