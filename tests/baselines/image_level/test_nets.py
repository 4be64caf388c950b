from __future__ import annotations

import time

import pytest
import torch
from torch.nn import functional

from pixelcluster.baselines.image_level.nets import (
    StackedAutoencoder,
    conv_encoder,
    conv_generator,
    halvings,
    pretrain,
)
from pixelcluster.seeding import seeded
from tests.baselines.image_level.planted import planted


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 12), (1, 28, 28), (3, 32, 32), (3, 9, 32), (1, 3, 4)])
def test_encoder_and_generator_mirror_each_other(shape):
    images = torch.rand(5, *shape)
    features = conv_encoder(shape, 7)(images)
    assert features.shape == (5, 7)
    assert conv_generator(7, shape)(features).shape == images.shape


def test_halvings():
    assert halvings(28, 28) == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert halvings(9, 32) == [(9, 32), (5, 16), (3, 8), (2, 4)]
    assert halvings(4, 3) == [(4, 3)]


def test_pretraining_reconstructs():
    images, _ = planted(120)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    with seeded(0):
        network = StackedAutoencoder((1, 12, 12), 4, 8)
    assert network.encode(pixels / 255).shape == (120, 4)
    history = pretrain(
        network,
        pixels,
        functional.mse_loss,
        epochs=30,
        deadline=time.monotonic() + 60,
        random=torch.Generator().manual_seed(0),
        dropped=0.2,
    )
    assert len(history) == 30
    assert history[-1] < 0.5 * history[0]
