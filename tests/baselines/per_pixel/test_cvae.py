from __future__ import annotations

import numpy as np
import torch
from torch.distributions import Normal
from torch.nn.functional import avg_pool2d, pixel_unshuffle

from pixelcluster.baselines.per_pixel.cvae import Cvae, Network


def test_the_likelihood_is_the_normal_density_of_a_cell():
    network = Network(3, 5)
    network.log_sigma.data = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    observed, drawn = torch.rand(2, 5, 16, 20), torch.rand(2, 3, 5, 16, 20)
    density = Normal(drawn, network.log_sigma.exp()[:, None, None]).log_prob(observed[:, None]).sum(2)
    wanted = 16 * avg_pool2d(density, 4)
    cells, drawn_cells = pixel_unshuffle(observed, 4), pixel_unshuffle(drawn, 4)
    assert torch.allclose(network.log_likelihood(cells, drawn_cells), wanted, rtol=1e-4)


def test_each_label_is_drawn_as_if_it_were_alone():
    network = Network(3, 5)
    z = torch.randn(2, 8, 2, 2)
    every = network.decode(z, (8, 8))
    assert every.shape == (2, 3, 80, 8, 8)
    with torch.no_grad():
        network.embedding[[0, 2]] += 1
    changed = network.decode(z, (8, 8))
    assert torch.equal(every[:, 1], changed[:, 1])
    assert not torch.allclose(every[:, 2], changed[:, 2])


def test_the_latent_field_sees_the_labels():
    network = Network(2, 5).eval()
    observed = torch.rand(1, 5, 32, 32)
    _, before, _ = network.infer(observed)
    with torch.no_grad():
        network.label.bias[0] += 5
    assert not torch.allclose(before, network.infer(observed)[1])


def test_infrared_is_drawn_too():
    network = Network(3, 4)
    assert network.decode(torch.randn(2, 8, 1, 1), (8, 8)).shape == (2, 3, 4 * 16, 8, 8)
    assert network.infer(torch.rand(1, 4, 32, 32))[0].shape == (1, 3, 8, 8)


def test_planted_blocks_are_found(found, blocks):
    """Far better than after one step: clusters of an untrained network hold about half of the pixels."""
    images, labels = blocks
    settings = {"seed": 1, "crop": 64, "batch_size": 4, "device": "cpu", "learning_rate": 0.005}
    method = Cvae(3, steps=60, **settings).fit(images)
    assert np.mean(method.losses_[-10:]) < 0.5 * method.losses_[0]
    assert found(Cvae(3, **settings, steps=1).fit(images), images, labels) < 0.65
    assert found(method, images, labels) > 0.8
