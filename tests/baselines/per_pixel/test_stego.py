from __future__ import annotations

import numpy as np
import pytest
import torch

from pixelcluster.baselines.per_pixel.encoder_kmeans import EncoderKMeans
from pixelcluster.baselines.per_pixel.stego import Stego


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


@pytest.mark.parametrize("method", [EncoderKMeans, Stego])
def test_masked_pixels_have_no_influence(method, few):
    images, labels = (own[:1] for own in few)
    masks = [label != 2 for label in labels]
    changed = [np.where(mask[..., None], image, 1 - image) for image, mask in zip(images, masks, strict=True)]
    options = {"steps": 3} if method is Stego else {}
    one, two = (method(2, device="cpu", **options).fit(own, masks).centres_ for own in (images, changed))
    assert torch.equal(one, two)


def test_only_colour_is_looked_at(few):
    colours = few[0][0]
    aerial = np.concatenate([colours, 1 - colours[..., :1]], axis=2)
    one, two = (EncoderKMeans(2, device="cpu").fit([own]).predict(own) for own in (colours, aerial))
    assert np.array_equal(one, two)


def test_one_image_is_its_own_neighbour(few):
    image = few[0][0][:50, :70]
    assert Stego(2, steps=2, device="cpu").fit([image]).predict(image).shape == (50, 70)
