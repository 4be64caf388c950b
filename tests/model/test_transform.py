"""The template generator against what its latents mean."""

from __future__ import annotations

import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.deconvolutional import DeconvolutionalGenerator
from pixelcluster.model.transform import TransformGenerator, sampling_basis


def blob(side: int = 12) -> torch.Tensor:
    """Return an image (1, S, S) with a bright 4 x 4 square in the middle."""
    image = torch.zeros(1, side, side)
    image[:, side // 2 - 2 : side // 2 + 2, side // 2 - 2 : side // 2 + 2] = 1
    return image


def test_the_origin_is_the_template() -> None:
    """z = 0 moves nothing."""
    generator = TransformGenerator(2, 1, 12)
    generator.set_template(1, blob())
    drawn = generator.mean(torch.zeros(1, generator.n_latent), torch.tensor([1]))
    torch.testing.assert_close(drawn[0], blob(), atol=1e-5, rtol=0)


def test_a_shift_shifts() -> None:
    """The constant entries of the affine map move the picture the other way by whole pixels."""
    generator = TransformGenerator(1, 1, 12)
    generator.set_template(0, blob())
    z = torch.zeros(1, generator.n_latent)
    z[0, 4] = 2 * (2 / 12) / 0.2  # rows of the basis: u, v, 1 for x and y in turn
    drawn = generator.mean(z, torch.tensor([0]))
    torch.testing.assert_close(drawn[0], blob().roll(-2, dims=2), atol=1e-4, rtol=0)


def test_all_clusters_at_once_are_each_cluster() -> None:
    """`means` is `mean` of every cluster."""
    generator = TransformGenerator(3, 3, 8, n_factors=2)
    torch.nn.init.normal_(generator.templates)
    torch.nn.init.normal_(generator.latent_scale, std=0.1)
    z = torch.randn(4, 3, generator.n_latent, generator=torch.Generator().manual_seed(0))
    together = generator.means(z)
    for k in range(3):
        alone = generator.mean(z[:, k], torch.full((4,), k))
        torch.testing.assert_close(together[:, k], alone, atol=1e-5, rtol=1e-5)


def test_locked_parts_do_nothing() -> None:
    """Before they are unlocked, warp, factors and colour leave the picture alone."""
    generator = TransformGenerator(1, 3, 8)
    torch.nn.init.uniform_(generator.templates)
    generator.unlock(warp=False, appearance=False)
    z = torch.randn(2, generator.n_latent, generator=torch.Generator().manual_seed(0))
    z[:, :6] = 0
    first, second = generator.mean(z, torch.zeros(2, dtype=torch.int64))
    torch.testing.assert_close(first, second)
    generator.unlock(warp=True, appearance=True)
    first, second = generator.mean(z, torch.zeros(2, dtype=torch.int64))
    assert (first - second).abs().max() > 0.01


def test_the_basis_is_linear_in_displacement() -> None:
    """A warp with all control points moved alike moves every pixel the same way, along its axis only."""
    _, basis = sampling_basis(10, 4)
    moved = basis[6::2].sum(0).view(-1, 2)
    assert (moved[:, 0] > 0.05).all()
    assert (moved[:, 1] == 0).all()


@pytest.mark.parametrize("side", [25, 28, 32])
def test_the_plain_generator_draws_its_side(side: int) -> None:
    """Five deconvolutions end at the wanted side, for all clusters and for one."""
    generator = DeconvolutionalGenerator(2, 3, side, n_latent=5, width=2)
    z = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(0))
    together = generator.means(z)
    assert together.shape == (2, 2, 3, side, side)
    torch.testing.assert_close(together[:, 1], generator.mean(z[:, 1], torch.ones(2, dtype=torch.int64)))


def test_the_plain_generator_refuses_other_sides() -> None:
    """Four strides reach 25 to 32 pixels."""
    with pytest.raises(PixelClusterError, match="25 to 32"):
        DeconvolutionalGenerator(2, 1, 14)
