from __future__ import annotations

import time

import pytest
import torch

from pixelcluster.baselines.image_level.learning import minibatches, set_rate


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
