from __future__ import annotations

import pytest
import torch

from pixelcluster.baselines.per_pixel.network import INPUT_CHANNELS, STRIDE, WIDTH, Trunk, grow, network_input
from pixelcluster.targets.sobel import grey


@pytest.mark.parametrize("dilations", [(1, 1), (1, 2, 4)])
def test_the_receptive_field_is_as_documented(dilations):
    trunk = Trunk(3, dilations).eval()
    image = torch.rand(1, 3, 128, 128, requires_grad=True)
    trunk(image)[0, :, 16, 16].sum().backward()
    seen = image.grad[0].abs().sum((0, 1)).nonzero()
    assert int(seen.max() - seen.min()) + 1 <= 7 + 8 * sum(dilations)


@pytest.mark.parametrize("size", [(1, 1), (5, 18), (64, 33)])
def test_any_size_gives_a_cell_every_four_pixels(size):
    features = Trunk(3).eval()(torch.rand(2, 3, *size))
    assert features.shape == (2, WIDTH, -(-size[0] // STRIDE), -(-size[1] // STRIDE))
    assert grow(features, size).shape[2:] == size


def test_the_input_is_colour_and_gradient():
    images = torch.rand(2, 3, 6, 7)
    seen = network_input(images)
    assert torch.equal(seen[:, :3], images)
    middle = grey(images)[:, 0]
    wanted = (middle[:, 1:4, 1] - middle[:, 1:4, 3]) * torch.tensor([1.0, 2.0, 1.0])
    assert torch.allclose(seen[:, 3, 2, 2], wanted.sum(1), atol=1e-6)


def test_the_input_is_colour_and_infrared_where_there_is_infrared():
    images = torch.rand(2, 4, 6, 7)
    assert torch.equal(network_input(images), images)
    for channels, wanted in INPUT_CHANNELS.items():
        assert network_input(torch.rand(1, channels, 4, 4)).shape[1] == wanted


def test_growing_keeps_cells_in_place():
    cells = torch.arange(4.0).view(1, 1, 1, 4)
    grown = grow(cells, (4, 14))[0, 0]
    assert grown.shape == (4, 14)
    assert torch.allclose(grown[0, 4:8], torch.tensor([0.625, 0.875, 1.125, 1.375]))
