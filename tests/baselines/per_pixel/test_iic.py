from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from pixelcluster.baselines.per_pixel.iic import Iic, mutual_information

EVERYWHERE = torch.ones(1, 4, 6)


def hard(labels, n_clusters=2):
    return one_hot(torch.as_tensor(labels), n_clusters).permute(2, 0, 1)[None].float()


def test_a_label_that_repeats_itself_tells_all_about_itself():
    stripes = np.tile([0, 1, 2, 0, 1, 2], (4, 1))
    value = mutual_information(hard(stripes, 3), hard(stripes, 3), EVERYWHERE, 0)
    assert float(value) == pytest.approx(math.log(3), abs=1e-6)


def test_labels_that_know_nothing_of_each_other_tell_nothing():
    first = hard(np.tile([0, 1], (4, 3)))
    second = hard(np.tile([[0], [1]], (2, 6)))
    assert float(mutual_information(first, second, EVERYWHERE, 0)) == pytest.approx(0, abs=1e-6)


def test_soft_labels_give_the_information_of_their_joint_made_symmetric():
    one, two = torch.tensor([[0.9, 0.1], [0.3, 0.7]]), torch.tensor([[0.8, 0.2], [0.4, 0.6]])
    joint = one.T @ two / 2
    joint = (joint + joint.T) / 2
    wanted = (joint * (joint / torch.outer(joint.sum(1), joint.sum(0))).log()).sum()
    first, second = (values.T.reshape(1, 2, 1, 2) for values in (one, two))
    value = mutual_information(first, second, torch.ones(1, 1, 2), 0)
    assert float(value) == pytest.approx(float(wanted), abs=1e-6)


def test_displacements_are_averaged_each_with_its_own_joint():
    # Upright stripes of period 2: every displacement to the side swaps the labels, so each tells all.
    stripes = hard(np.tile([0, 1], (4, 3)))
    value = mutual_information(stripes, stripes, EVERYWHERE, 1)
    # Pairs inside 6 columns: 3 and 3 without displacement, 5 pairs, made symmetric, with one to the side.
    assert float(value) == pytest.approx(math.log(2), abs=1e-6)
    # Two wide halves: to the side one pair of five crosses the border.
    halves = hard(np.tile([0, 0, 0, 1, 1, 1], (4, 1)))
    aside = math.log(2) - (-0.8 * math.log(0.8) - 0.2 * math.log(0.2))
    value = mutual_information(halves, halves, EVERYWHERE, 1)
    assert float(value) == pytest.approx((3 * math.log(2) + 6 * aside) / 9, abs=1e-6)


def test_masked_cells_do_not_count():
    stripes = np.tile([0, 1, 0, 1, 0, 1], (4, 1))
    wrong = stripes.copy()
    wrong[:, 4:] = 1 - wrong[:, 4:]
    cells = EVERYWHERE.clone()
    cells[:, :, 4:] = 0
    assert float(mutual_information(hard(stripes), hard(wrong), cells, 0)) == pytest.approx(
        math.log(2), abs=1e-6
    )
    nothing = mutual_information(hard(stripes), hard(wrong), torch.zeros(1, 4, 6), 1)
    assert torch.isfinite(nothing)


def test_planted_blocks_are_found(found, blocks):
    """Far better than after one step: clusters of an untrained network hold about half of the pixels."""
    images, labels = blocks
    settings = {"seed": 1, "crop": 64, "batch_size": 4, "device": "cpu", "learning_rate": 0.005}
    method = Iic(3, steps=60, **settings).fit(images)
    assert np.mean(method.losses_[-10:]) < method.losses_[0] - 0.5
    assert found(Iic(3, **settings, steps=1).fit(images), images, labels) < 0.65
    assert found(method, images, labels) > 0.8


def test_the_sub_head_of_most_information_labels():
    method = Iic(2, steps=1, crop=32, device="cpu")
    method.fit([np.random.default_rng(0).random((32, 32, 3), np.float32)])
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        heads = method._probabilities(method._features(image), "main")
        assert heads.shape == (1, 3, 2, 8, 8)
        assert torch.allclose(heads.sum(2), torch.ones(1, 3, 8, 8))
        for best in range(3):
            method.quality_ = torch.eye(3)[best]
            scores = method.scores(image, torch.ones(1, 8, 8))
            assert [torch.equal(scores, heads[:, index]) for index in range(3)] == [
                index == best for index in range(3)
            ]


def test_classes_that_only_infrared_tells_apart_are_found(found, aerial):
    images, labels = aerial
    method = Iic(2, steps=40, crop=64, batch_size=4, device="cpu").fit(images)
    assert method.network_["trunk"][0].in_channels == 4
    assert found(method, images, labels) > 0.85
    colours = [image[..., :3] for image in images]
    blind = Iic(2, steps=40, crop=64, batch_size=4, device="cpu").fit(colours)
    assert found(blind, colours, labels) < 0.7
