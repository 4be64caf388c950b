from __future__ import annotations

import math
import time

import pytest
import torch

from pixelcluster.baselines.image_level.learning import minibatches, random_view, set_rate


def batches(n=10, size=4, epochs=2, seconds=60.0):
    pixels = torch.arange(n, dtype=torch.uint8)[:, None, None, None]
    random = torch.Generator().manual_seed(0)
    return minibatches(
        pixels, batch_size=size, epochs=epochs, deadline=time.monotonic() + seconds, random=random
    )


def test_an_epoch_visits_images_once_in_full_batches():
    found = list(batches())
    assert [len(batch.rows) for batch in found] == [4, 4, 4, 4]
    for first in (0, 2):
        assert len(torch.cat([batch.rows for batch in found[first : first + 2]]).unique()) == 8
    assert all(torch.equal(batch.images[:, 0, 0, 0] * 255, batch.rows.float()) for batch in found)
    assert [batch.progress for batch in found] == pytest.approx([0, 0.25, 0.5, 0.75], abs=0.01)


def test_fewer_images_than_a_batch_make_one_batch():
    assert [len(batch.rows) for batch in batches(n=3, epochs=1)] == [3]


def test_past_the_deadline_one_batch_is_left():
    found = list(batches(seconds=-1))
    assert len(found) == 1
    assert len(list(batches(epochs=10**6, seconds=0.05))) < 10**5


def test_rate_stays_then_falls():
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1)
    rates = []
    for progress in (0.0, 0.5, 0.75, 1.0):
        set_rate(optimiser, 2.0, progress)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([2, 2, 1.01, 0.02])


def test_a_view_of_the_whole_image_is_the_image():
    images = torch.rand(4, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    random = torch.Generator().manual_seed(0)
    same = random_view(images, random, rotation=0, zoom=(1, 1), jitter=0)
    assert torch.allclose(same, images, atol=1e-5)
    assert not torch.allclose(random_view(images, random), images, atol=0.1)


def test_views_stay_in_range_turn_and_magnify():
    random = torch.Generator().manual_seed(0)
    images = torch.zeros(200, 1, 16, 24)
    images[:, :, 6:10, 8:16] = 1  # upright bar across the middle
    turned = random_view(images, random, rotation=90, zoom=(1, 1), jitter=0)
    assert 0 <= turned.min() <= turned.max() <= 1
    # A rotation in pixels keeps the area, whatever the aspect ratio.
    assert turned.sum((1, 2, 3)).sub(32).abs().max() < 3
    larger = random_view(images, random, rotation=0, zoom=(0.5, 0.5), jitter=0)
    assert larger.sum((1, 2, 3)).max() == pytest.approx(4 * 32, rel=0.1)


def test_jitter_changes_contrast_and_brightness_only():
    images = torch.full((50, 3, 6, 6), 0.5)
    views = random_view(images, torch.Generator().manual_seed(0), jitter=0.4)
    assert views.flatten(1).std(1).max() < 1e-6
    means = views.mean((1, 2, 3))
    assert means.std() > 0.05
    assert (means - 0.5).abs().max() <= 0.2 + 1e-6
    assert math.isclose(means.mean(), 0.5, abs_tol=0.06)
