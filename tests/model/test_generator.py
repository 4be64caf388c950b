from __future__ import annotations

import math

import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.convolutional import ConvolutionalGenerator
from pixelcluster.model.generator import ClusteredGenerator, log_joint

FORMS = [ClusteredGenerator, ConvolutionalGenerator]


def decode(generator, z: torch.Tensor, label_map: torch.Tensor) -> torch.Tensor:
    """G(z, y), (B, D, h, w)."""
    return generator.mean(generator.trunk(z, label_map.shape[1:]), label_map)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [(1, 1), (5, 9), (33, 17)])
@pytest.mark.parametrize("latent", [(4, 8), (4, 3), (2, 1), (3, None), (0, 8)])
def test_any_size_and_any_latent_grid(form, size, latent) -> None:
    generator = form(3, 2, latent_channels=latent[0], latent_stride=latent[1], width=4)
    shape = generator.trunk.latent_shape(*size)
    assert shape[0] == latent[0]
    if latent[0] and latent[1]:
        assert shape[1:] == tuple(math.ceil(side / latent[1]) for side in size)
    label_map = torch.zeros(2, *size, dtype=torch.int64)
    assert decode(generator, torch.randn(2, *shape), label_map).shape == (2, 2, *size)


def test_without_latents_the_mean_is_the_clusters() -> None:
    generator = ClusteredGenerator(3, 2, latent_channels=0)
    means = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    generator.set_clusters(means)
    label_map = torch.tensor([[[0, 1], [2, 2]]])
    expected = means[label_map].permute(0, 3, 1, 2)
    assert torch.equal(decode(generator, torch.empty(1, 0, 1, 1), label_map), expected)


def test_mean_is_the_formula() -> None:
    generator = ClusteredGenerator(3, 2, width=4, n_features=2)
    features = torch.randn(1, 4, 3, 3)
    label_map = torch.randint(3, (1, 3, 3))
    f = features[0, :, 1, 2]
    head = generator.heads[label_map[0, 1, 2]]
    expected = generator.shared @ f + head @ torch.cat([torch.ones(1), generator.project @ f])
    torch.testing.assert_close(generator.mean(features, label_map)[0, :, 1, 2], expected)


def test_one_latent_cell_an_image_gives_a_constant_field() -> None:
    generator = ClusteredGenerator(1, 3, latent_stride=None)
    mean = decode(generator, torch.randn(1, 4, 1, 1), torch.zeros(1, 6, 7, dtype=torch.int64))
    torch.testing.assert_close(mean, mean[..., :1, :1].expand_as(mean))


@pytest.mark.parametrize(("n_layers", "kernel_size"), [(1, 3), (2, 3), (1, 5)])
def test_a_label_moves_the_mean_in_its_receptive_field_alone(n_layers: int, kernel_size: int) -> None:
    generator = ConvolutionalGenerator(2, 3, n_layers=n_layers, kernel_size=kernel_size, width=4)
    assert generator.receptive_field == 1 + n_layers * (kernel_size - 1)
    features = generator.trunk(torch.randn(1, *generator.trunk.latent_shape(11, 11)), (11, 11))
    before = torch.zeros(1, 11, 11, dtype=torch.int64)
    after = before.clone()
    after[0, 5, 5] = 1
    moved = (generator.mean(features, after) != generator.mean(features, before)).any(1)[0]
    rows, columns = moved.nonzero(as_tuple=True)
    reach = generator.receptive_field // 2
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5 - reach, 5 + reach) * 2


def test_log_joint_adds_the_prior_of_z_and_tempers_the_evidence() -> None:
    generator = ClusteredGenerator(2, 3, sigma=0.5)
    x, z = torch.randn(2, 3, 8, 8), torch.randn(2, *generator.trunk.latent_shape(8, 8))
    label_map = torch.randint(2, (2, 8, 8))
    log_latent = torch.distributions.Normal(0, 1).log_prob(z).sum((1, 2, 3))
    evidence = generator.log_likelihood(x, generator.trunk(z, (8, 8)), label_map)
    expected = log_latent + evidence / 4
    torch.testing.assert_close(log_joint(generator, x, label_map, tempering=4.0)(z), expected)


@pytest.mark.parametrize("noise", ["isotropic", "full"])
def test_selected_clusters_keep_their_means(noise) -> None:
    generator = ClusteredGenerator(4, 3, noise=noise)
    chosen = generator.select(torch.tensor([False, True, False, True]))
    z = torch.randn(1, *generator.trunk.latent_shape(6, 6))
    few = torch.randint(2, (1, 6, 6))
    many = torch.tensor([1, 3])[few]
    torch.testing.assert_close(decode(chosen, z, few), decode(generator, z, many))
    x = torch.randn(1, 3, 6, 6)
    torch.testing.assert_close(
        chosen.log_likelihood(x, chosen.trunk(z, (6, 6)), few),
        generator.log_likelihood(x, generator.trunk(z, (6, 6)), many),
    )


def test_weights_depend_on_the_seed_alone() -> None:
    first, second = ClusteredGenerator(3, 4, seed=5), ClusteredGenerator(3, 4, seed=5)
    other = ClusteredGenerator(3, 4, seed=6)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
    assert not torch.equal(first.heads, other.heads)


def test_noise_takes_sigma_and_covariances() -> None:
    generator = ClusteredGenerator(2, 3, noise="full", learn_noise=True)
    covariances = torch.diag_embed(torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.1, 4.0]])) + 0.05
    generator.set_clusters(torch.zeros(2, 3), covariances)
    factor = generator.noise().factor
    torch.testing.assert_close((factor @ factor.transpose(1, 2)).inverse(), covariances, rtol=1e-4, atol=1e-4)
    generator.noise.set_sigma(0.5)
    torch.testing.assert_close(generator.noise().factor, 2 * torch.eye(3).expand(2, 3, 3))
    assert generator.noise.log_precision.requires_grad
    assert not ClusteredGenerator(2, 3).noise.log_precision.requires_grad


def test_elongated_covariances_keep_their_precision() -> None:
    """Eigenvalues 1e-6 and 1: inverted in float32 the precision would be wrong by percents."""
    random = torch.Generator().manual_seed(3)
    axes = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=random)).Q
    variances = torch.tensor([1e-6, 1e-6, 1, 1, 1, 1], dtype=torch.float64)
    covariance = (axes * variances @ axes.T).float()
    generator = ClusteredGenerator(1, 6, noise="full")
    generator.set_clusters(torch.zeros(1, 6), covariance[None])
    factor = generator.noise().factor[0].double()
    wanted = covariance.double().inverse()
    assert (factor @ factor.T - wanted).norm() < 1e-4 * wanted.norm()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: ClusteredGenerator(2, 3, noise="pink"), "wanted 'isotropic' or 'full'"),
        (lambda: ClusteredGenerator(2, 3, sigma=0.0), "positive"),
        (lambda: ClusteredGenerator(2, 3).set_clusters(torch.zeros(3, 2)), r"wanted .* \(2, 3\)"),
        (lambda: ClusteredGenerator(2, 3).set_clusters(torch.zeros(2, 3), torch.zeros(2, 3, 3)), "full"),
        (
            lambda: ClusteredGenerator(2, 3, noise="full").set_clusters(
                torch.zeros(2, 3), torch.zeros(2, 3, 3)
            ),
            "ridge",
        ),
        (lambda: ConvolutionalGenerator(2, 3, kernel_size=2), "odd"),
    ],
)
def test_errors_name_the_way_out(action, message: str) -> None:
    with pytest.raises(PixelClusterError, match=message):
        action()
