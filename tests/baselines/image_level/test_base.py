from __future__ import annotations

import time
from importlib import import_module

import numpy as np
import pytest
import torch

from pixelcluster.baselines.image_level.base import working_size
from pixelcluster.baselines.image_level.kmeans import ImageKMeans
from pixelcluster.baselines.registry import METHODS, load_method
from pixelcluster.errors import PixelClusterError
from tests.baselines.image_level.planted import planted

# Variational Clustering has tests of its own, with fewer steps than here.
NAMES = [name for name in METHODS if name.startswith("image_level/") and not name.endswith("/variational")]
LEARNED = [name for name in NAMES if not name.endswith(("kmeans", "spectral"))]


@pytest.fixture
def two_epochs(monkeypatch):
    for name in LEARNED:
        module = import_module(f"pixelcluster.baselines.{name.replace('/', '.')}")
        for constant in ("_EPOCHS", "_PRETRAINING_EPOCHS"):
            if hasattr(module, constant):
                monkeypatch.setattr(module, constant, 2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("height", "width", "channels"), [(8, 8, 1), (28, 28, 1), (9, 40, 3)])
def test_any_size_gives_a_label_an_image_and_the_same_seed_the_same(
    name, height, width, channels, two_epochs
):
    images, _ = planted(60, height, width, channels)
    stream = torch.get_rng_state()
    methods = [load_method(name)(3, seed=seed, device="cpu", minutes=1).fit(images) for seed in (1, 1)]
    assert torch.equal(torch.get_rng_state(), stream)
    first, second = (method.predict(images) for method in methods)
    assert first.shape == (60,)
    assert first.dtype == np.int64
    assert first.min() >= 0
    assert first.max() < 3
    assert np.array_equal(first, second)
    assert methods[0].history_ == methods[1].history_
    one_by_one = [methods[0].predict(images[i : i + 1])[0] for i in range(5)]
    assert np.array_equal(one_by_one, first[:5])


@pytest.mark.parametrize("name", LEARNED)
def test_another_seed_gives_another_fit(name, two_epochs):
    images, _ = planted(60)
    histories = [load_method(name)(3, seed=seed, minutes=1).fit(images).history_ for seed in (0, 1)]
    assert histories[0] != histories[1]


@pytest.mark.parametrize("name", NAMES)
def test_the_time_limit_ends_the_fit(name):
    images, _ = planted()
    started = time.monotonic()
    method = load_method(name)(3, minutes=0.2 / 60).fit(images)
    assert time.monotonic() - started < 5
    assert method.predict(images).shape == (len(images),)


def test_large_images_shrink_to_32_pixels_by_averaging():
    images = np.zeros((2, 96, 48, 3), dtype=np.uint8)
    images[1, ..., 1] = 200
    small = working_size(images)
    assert small.shape == (2, 3, 32, 16)
    assert torch.equal(small[1, 1], torch.full((32, 16), 200, dtype=torch.uint8))
    checkers = np.indices((64, 64)).sum(0)[None, ..., None] % 2 * 200
    assert (working_size(checkers.astype(np.uint8)).float() - 100).abs().max() < 10


def test_small_images_stay_as_they_are():
    images, _ = planted(5, 8, 10, 3)
    assert np.array_equal(working_size(images).numpy().transpose(0, 2, 3, 1), images)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((5, 8, 8), np.uint8), "wanted uint8"),
        (np.zeros((5, 8, 8, 1), np.float32), "float32"),
        (np.zeros((0, 8, 8, 1), np.uint8), "N at least 1"),
        (np.zeros((2, 8, 8, 1), np.uint8), "fewer clusters"),
    ],
)
def test_what_cannot_be_fitted_is_refused(images, words):
    with pytest.raises(PixelClusterError, match=words):
        ImageKMeans(3).fit(images)


def test_wrong_settings_and_wrong_order_are_refused():
    images, _ = planted(10)
    for n_clusters in (0, 2.5, True, "auto"):
        with pytest.raises(PixelClusterError, match=r"n_clusters is .*; wanted a whole number from 1 up$"):
            ImageKMeans(n_clusters)
    with pytest.raises(PixelClusterError, match="got 0 minutes; wanted more than 0"):
        ImageKMeans(2, minutes=0).fit(images)
    with pytest.raises(PixelClusterError, match="call fit"):
        ImageKMeans(2).predict(images)
    with pytest.raises(PixelClusterError, match="the fit saw"):
        ImageKMeans(2).fit(images).predict(images[:, :6])
