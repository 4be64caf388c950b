from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.metrics.matching import Confusion
from pixelcluster.targets.grid import cells_used
from pixelcluster.variational.pixel import Explained, PixelSettings, PixelVariationalClustering, _displaced
from tests.synthetic import textures

DEFAULTS = PixelSettings()
QUICK = PixelSettings(replace(DEFAULTS.train, steps=60, heads=1, learning_rate=3e-3), crop=64, batch_size=6)
TWO_STEPS = replace(QUICK, train=replace(QUICK.train, steps=2, heads=2))


@pytest.fixture
def bands():
    """Bands of three colours in any order, with noise: images and labels."""
    _, labels = textures(6)
    colours = np.array([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.1, 0.2, 0.9]])
    noise = np.random.default_rng(0).normal(0, 0.05, (6, 96, 96, 3))
    return list(np.clip(colours[np.stack(labels)] + noise, 0, 1).astype(np.float32)), labels


def agreement(model, images, labels):
    confusion = Confusion(3, 3)
    for image, label in zip(images, labels, strict=True):
        confusion.update(model.predict(image), label)
    return confusion.acc


def test_planted_colours_are_found_with_the_same_ids_on_every_image(bands):
    images, labels = bands
    model = PixelVariationalClustering(3, settings=QUICK).fit(images)
    label_map = model.predict(images[0][:90, :61])
    assert label_map.dtype == np.int32
    assert label_map.shape == (90, 61)
    assert agreement(model, images, labels) > 0.85
    assert model.curve_[-1]["total"] < model.curve_[0]["total"]


def test_masks_decide_what_is_learned_and_a_seed_repeats(bands):
    images, labels = bands
    masks = [label != 2 for label in labels]
    fits = [
        PixelVariationalClustering(3, seed=seed, settings=TWO_STEPS).fit(images, own)
        for seed, own in ((0, masks), (0, masks), (1, masks), (0, None))
    ]
    first, second, *others = (model.model_.head.classifier.weight for model in fits)
    assert torch.equal(first, second)
    assert not any(torch.equal(first, other) for other in others)


def test_crops_that_never_show_a_used_cell_end_in_a_line():
    """A used corner of 8 px in an image of 512 px: hardly any crop of 64 px holds it."""
    corner = np.zeros((512, 512), bool)
    corner[:8, :8] = True
    model = PixelVariationalClustering(3, minutes=0.01, settings=TWO_STEPS)
    with pytest.raises(PixelClusterError, match="no crop of 64 px drawn in"):
        model.fit([np.random.default_rng(0).random((512, 512, 3), np.float32)], [corner])


def test_classes_that_only_infrared_tells_apart_are_found():
    _, labels = textures(6)
    rng = np.random.default_rng(0)
    colours = rng.uniform(0.4, 0.6, (6, 96, 96, 3))
    infrared = np.array([0.2, 0.5, 0.8])[np.stack(labels)] + rng.normal(0, 0.03, (6, 96, 96))
    images = list(np.concatenate([colours, infrared[..., None]], axis=3).astype(np.float32))
    model = PixelVariationalClustering(3, settings=QUICK).fit(images)
    assert agreement(model, images, labels) > 0.85
    with pytest.raises(PixelClusterError, match="images have 3 channels, wanted 4"):
        model.predict(images[0][..., :3])


def test_what_z_explains_has_variance_one_and_holds_infrared():
    rng = np.random.default_rng(0)
    images = [rng.random((32, 32, 4)).astype(np.float32) for _ in range(3)]
    masks = [rng.random((32, 32)) < 0.9 for _ in images]
    explained = Explained(list(zip(images, masks, strict=True)), torch.device("cpu"))
    values = explained(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))
    assert values.shape == (3, explained.n_channels, 8, 8)
    used = values[:, -1][torch.stack([cells_used(torch.from_numpy(mask), 4) for mask in masks])]
    assert float(used.mean()) == pytest.approx(0, abs=1e-5)
    assert float(used.std(correction=0)) == pytest.approx(1, abs=1e-5)
    colours = [(image[..., :3], mask) for image, mask in zip(images, masks, strict=True)]
    without = Explained(colours, torch.device("cpu"))
    assert without.n_channels == explained.n_channels - 1
    plain = without(torch.from_numpy(np.stack(images)[..., :3]).permute(0, 3, 1, 2))
    assert torch.equal(plain, values[:, :-1])


def test_the_budget_is_kept(bands):
    started = time.monotonic()
    settings = replace(QUICK, train=replace(QUICK.train, steps=10**9))
    PixelVariationalClustering(3, minutes=1 / 60, settings=settings).fit(bands[0])
    assert time.monotonic() - started < 6


def test_nothing_comes_in_across_the_border():
    cells = torch.arange(1, 21).view(1, 4, 5)
    for rows in range(-2, 3):
        for columns in range(-2, 3):
            moved = _displaced(cells, (rows, columns))
            there = moved > 0
            assert int(there.sum()) == (4 - abs(rows)) * (5 - abs(columns))
            assert (cells - moved == 5 * rows + columns)[there].all()
