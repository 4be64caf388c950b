from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from pixelcluster.data.views import ViewSettings
from pixelcluster.errors import PixelClusterError
from pixelcluster.metrics.matching import Confusion
from pixelcluster.variational.image import ImageSettings, VariationalClustering

QUICK = ImageSettings(
    train=replace(ImageSettings().train, steps=80, heads=2, learning_rate=3e-3),
    batch_size=64,
    views=ViewSettings(rotation=0.1, shear=0.1),  # turned by more, a bar is no longer upright
)
TWO_STEPS = replace(QUICK, train=replace(QUICK.train, steps=2))


def test_planted_shapes_are_found(shapes):
    images, labels = shapes
    model = VariationalClustering(3, seed=1, settings=QUICK).fit(images)
    predicted = model.predict(images)
    assert predicted.dtype == np.int64
    confusion = Confusion(3, 3)
    confusion.update(predicted, labels)
    assert confusion.acc > 0.95
    assert model.history_[-1] < model.history_[0]


def test_a_seed_repeats_fit_and_samples(shapes):
    first, again, other = (
        VariationalClustering(3, seed=seed, settings=TWO_STEPS).fit(shapes[0]) for seed in (1, np.int64(1), 2)
    )
    assert again.history_ == first.history_
    assert other.history_ != first.history_
    samples = first.samples(5)
    assert samples.shape == (3, 5, 12, 12, 1)
    assert samples.dtype == np.uint8
    assert np.array_equal(again.samples(5), samples)


@pytest.mark.parametrize("shape", [(8, 32, 32, 3), (8, 96, 96, 3), (8, 5, 9, 1)])
def test_colour_and_other_sizes(shape):
    images = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    model = VariationalClustering(2, settings=TWO_STEPS).fit(images)
    assert model.predict(images[:3]).shape == (3,)
    assert model.samples(2).shape == (2, 2, min(32, shape[1]), min(32, shape[2]), shape[3])


def test_the_budget_is_kept(shapes):
    started = time.monotonic()
    settings = replace(QUICK, train=replace(QUICK.train, steps=10**9))
    VariationalClustering(3, minutes=1 / 60, settings=settings).fit(shapes[0])
    assert time.monotonic() - started < 4


def test_too_few_images_are_refused():
    with pytest.raises(PixelClusterError, match="3 images for 4 clusters"):
        VariationalClustering(4).fit(np.zeros((3, 8, 8, 1), np.uint8))


def test_samples_before_the_fit_are_refused():
    with pytest.raises(PixelClusterError, match="not fitted"):
        VariationalClustering(4).samples(1)
