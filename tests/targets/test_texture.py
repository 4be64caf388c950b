from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from pixelcluster.errors import PixelClusterError
from pixelcluster.targets.texture import TextureStack, energy_orientation, gaussian_blur


def grating(angle: float, amplitude: float = 20.0) -> torch.Tensor:
    """(1, 1, 40, 40): stripes whose gradient has this angle (radians, x towards y)."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    return (amplitude * torch.sin(0.8 * (math.cos(angle) * x + math.sin(angle) * y)))[None, None]


def test_blur_equals_scipy() -> None:
    values = np.random.default_rng(0).random((20, 30))
    ours = gaussian_blur(torch.from_numpy(values)[None, None], 1.5)[0, 0]
    np.testing.assert_allclose(ours, gaussian_filter(values, 1.5, mode="nearest", radius=5), atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 0.5, math.pi / 2, 2.5])
def test_orientation_is_twice_the_angle_of_the_gradient(angle: float) -> None:
    _, cos, sin = energy_orientation(grating(angle), 1.0)[0, :, 20, 20].tolist()
    assert math.remainder(math.atan2(sin, cos) - 2 * angle, 2 * math.pi) == pytest.approx(0, abs=0.1)
    assert math.hypot(cos, sin) > 0.95


def test_energy_grows_with_the_square_of_contrast() -> None:
    weak, strong = (energy_orientation(grating(0.5, a), 1.0)[0, 0, 20, 20] for a in (20.0, 40.0))
    assert (strong - weak).item() == pytest.approx(math.log(4), abs=0.02)


def test_flat_image_has_no_orientation() -> None:
    values = energy_orientation(torch.full((1, 1, 12, 12), 50.0), 1.0)
    torch.testing.assert_close(values[:, 1:], torch.zeros(1, 2, 12, 12))


def test_each_channel_is_standardised_and_the_grid_rounds_up() -> None:
    images = torch.rand(3, 3, 21, 18, generator=torch.Generator().manual_seed(0))
    targets = TextureStack(4, scales=(0.7, 2)).fit(list(images))(images)
    assert targets.shape == (3, 9, 6, 5)
    torch.testing.assert_close(targets.std((0, 2, 3), correction=0), torch.ones(9), atol=1e-3, rtol=0)


def test_scales_must_be_above_zero() -> None:
    with pytest.raises(PixelClusterError, match="scales"):
        TextureStack(4, scales=(0,))
