from __future__ import annotations

import numpy as np
import pytest
import torch

from pixelcluster.baselines.per_pixel.encoder_kmeans import EncoderKMeans
from pixelcluster.baselines.per_pixel.stego import Stego
from pixelcluster.targets.grid import cells_used


@pytest.fixture(scope="module")
def few(blocks) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Two images of the blocks: the encoder is slow."""
    return blocks[0][:2], blocks[1][:2]


def test_frozen_features_alone_find_planted_blocks(found, few):
    images, labels = few
    assert found(EncoderKMeans(3, device="cpu").fit(images), images, labels) > 0.6


def test_the_head_learns_and_finds_planted_blocks(found, few):
    images, labels = few
    method = Stego(3, steps=60, device="cpu").fit(images)
    assert len(method.losses_) == 60
    assert np.mean(method.losses_[-10:]) < np.mean(method.losses_[:10])
    assert found(method, images, labels) > 0.6


def test_masked_cells_are_not_fitted(few):
    images, labels = (own[:1] for own in few)
    mask = labels[0] != labels[0][0, 0]
    method = EncoderKMeans(1, device="cpu").fit(images, [mask])
    codes = method.codes(torch.from_numpy(images[0]).permute(2, 0, 1)[None])[0]
    used = cells_used(torch.from_numpy(mask), 4)
    assert torch.allclose(method.centres_[0], codes[:, used].mean(1), atol=1e-4)
    assert not torch.allclose(method.centres_[0], codes.mean((1, 2)), atol=1e-2)


def test_only_colour_is_looked_at(few):
    colours = few[0][0]
    aerial = np.concatenate([colours, 1 - colours[..., :1]], axis=2)
    one, two = (EncoderKMeans(2, device="cpu").fit([own]).predict(own) for own in (colours, aerial))
    assert np.array_equal(one, two)


def test_one_image_is_its_own_neighbour(few):
    image = few[0][0][:50, :70]
    assert Stego(2, steps=2, device="cpu").fit([image]).predict(image).shape == (50, 70)
