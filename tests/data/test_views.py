from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.transform import AffineTransform
from skimage.transform import warp as skimage_warp

from pixelcluster.data.views import ViewSettings, jitter, random_grid, random_view, warp

STILL = ViewSettings(rotation=0, log_scale=0, shear=0, shift=0, elastic=0, jitter=0)


@pytest.fixture
def images():
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def random():
    return torch.Generator().manual_seed(1)


def test_no_change_gives_the_image_back(images):
    assert torch.allclose(random_view(images, STILL, random()), images, atol=1e-5)


def test_views_differ_repeat_and_stay_in_range(images):
    first, second = (random_view(images, ViewSettings(), random()) for _ in range(2))
    assert torch.equal(first, second)
    assert first.min() >= 0
    assert first.max() <= 1
    same = random_view(images[:1].expand(2, -1, -1, -1), ViewSettings(), random())
    assert not torch.allclose(same[0], same[1], atol=0.05)


def test_grey_images_are_not_jittered():
    grey = torch.full((2, 1, 8, 8), 0.5)
    assert torch.allclose(random_view(grey, ViewSettings(), random()), grey, atol=1e-5)
    colour = random_view(grey.expand(2, 3, 8, 8), ViewSettings(), random())
    assert not torch.allclose(colour, grey, atol=0.02)


def test_the_affine_part_is_what_scikit_image_does(images):
    settings = ViewSettings(elastic=0, jitter=0)
    grid = random_grid(images[:1], settings, random())
    # The grid is affine in pixel coordinates: read its matrix from three of its points.
    pixels = ((grid[0] + 1) * 16 - 1) / 2
    origin, right, down = pixels[0, 0], pixels[0, 1], pixels[1, 0]
    matrix = torch.stack([right - origin, down - origin, origin], 1)
    matrix = np.vstack([matrix.numpy(), [0, 0, 1]])
    assert np.abs(matrix[:2, :2] - np.eye(2)).max() > 0.05
    wanted = skimage_warp(
        images[0, 0].numpy().astype(float), AffineTransform(matrix=matrix), order=1, mode="edge"
    )
    assert np.allclose(warp(images[:1], grid)[0, 0].numpy(), wanted, atol=1e-4)


def test_jitter_moves_brightness_within_its_range():
    settings = ViewSettings(jitter=0.2)
    flat = jitter(torch.full((200, 3, 2, 2), 0.4), settings, random())
    assert flat.min() >= (0.4 - 0.1) * np.exp(-0.2) - 1e-6
    assert flat.max() <= (0.4 + 0.1) * np.exp(0.2) + 1e-6
    assert flat.std() > 0.02
