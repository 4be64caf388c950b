from __future__ import annotations

import numpy as np
import pytest
import torch

from pixelcluster.baselines.per_pixel import deep_cluster
from pixelcluster.baselines.per_pixel.base import usable_images
from pixelcluster.baselines.per_pixel.deep_cluster import DeepCluster, Embedding
from pixelcluster.baselines.per_pixel.network import Trunk


def test_planted_blocks_are_found(found, blocks):
    """Far better than after one step: clusters of an untrained network hold about half of the pixels."""
    images, labels = blocks
    settings = {"seed": 0, "crop": 64, "batch_size": 4, "device": "cpu", "learning_rate": 0.01}
    method = DeepCluster(3, steps=60, **settings).fit(images)
    # The last layer starts at 0: the first loss of a round is that of a guess among 30 pseudo classes.
    assert method.losses_[0] == pytest.approx(np.log(30), abs=1e-4)
    assert found(DeepCluster(3, **settings, steps=1).fit(images), images, labels) < 0.65
    assert found(method, images, labels) > 0.8


def test_every_round_starts_with_a_fresh_last_layer(monkeypatch, blocks):
    monkeypatch.setattr(deep_cluster, "_ROUND", 3)
    method = DeepCluster(2, steps=7, crop=32, device="cpu").fit(blocks[0])
    fresh = [index for index, loss in enumerate(method.losses_) if abs(loss - np.log(20)) < 1e-4]
    assert fresh == [0, 3, 6]


def test_pseudo_labels_come_from_the_network_as_it_was_at_the_start_of_the_round(blocks):
    method = DeepCluster(2, steps=2, crop=32, device="cpu").fit(blocks[0])
    teacher, now = (method.teacher_.trunk.state_dict(), method.network_["trunk"].state_dict())
    assert any(not torch.equal(teacher[name], now[name]) for name in teacher)
    assert not method.teacher_.trunk.training


def test_the_embedding_is_white_before_its_length_is_one(blocks):
    torch.manual_seed(0)
    usable = usable_images(blocks[0], None)
    embedding = Embedding(Trunk(5).eval(), usable, torch.device("cpu"))
    with torch.no_grad():
        values = embedding(torch.from_numpy(blocks[0][0]).permute(2, 0, 1)[None])
        white = torch.cat(
            [
                embedding.whitened(torch.from_numpy(image).permute(2, 0, 1)[None])[0].flatten(1)
                for image in blocks[0]
            ],
            1,
        )
    assert torch.allclose(values.norm(dim=1), torch.ones(1, 32, 32), atol=1e-5)
    assert torch.allclose(white @ white.T / white.shape[1], torch.eye(len(white)), atol=1e-2)
