from __future__ import annotations

import itertools

import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.convolutional import ConvolutionalGenerator
from pixelcluster.model.generator import ClusteredGenerator, log_joint
from pixelcluster.model.graph import PixelGrid
from pixelcluster.model.prior import LabelPrior, log_prior
from pixelcluster.sampling.noise import Streams
from pixelcluster.sampling.posterior import infer

K, D, SIZE = 3, 4, (8, 8)


def setting(n_images: int, form=ClusteredGenerator, **options):
    random = torch.Generator().manual_seed(0)
    generator = form(K, D, sigma=0.5, width=8, **options)
    x = torch.randn(n_images, D, *SIZE, generator=random)
    z = torch.randn(n_images, *generator.trunk.latent_shape(*SIZE), generator=random)
    label_map = torch.randint(K, (n_images, *SIZE), generator=random)
    prior = LabelPrior(torch.full((K,), 1 / K), concentration=0.2, potts_weight=0.5)
    return generator, x, z, label_map, prior


@pytest.mark.parametrize("form", [ClusteredGenerator, ConvolutionalGenerator])
def test_an_image_does_not_depend_on_its_batch_or_its_order(form) -> None:
    generator, x, z, label_map, prior = setting(4, form)
    graph = PixelGrid(*SIZE, period=max(2, generator.receptive_field))
    settings = {"rounds": 2, "langevin_steps": 3, "step_size": 1e-3, "tempering": 4.0}
    full = infer(Streams(0, range(4)), x, generator, prior, graph, z, label_map, **settings)
    ids = [3, 1]
    part = infer(Streams(0, ids), x[ids], generator, prior, graph, z[ids], label_map[ids], **settings)
    assert torch.equal(part.label_map, full.label_map[ids])
    torch.testing.assert_close(part.z, full.z[ids])
    torch.testing.assert_close(part.probabilities, full.probabilities[ids])
    torch.testing.assert_close(part.log_joint, full.log_joint[:, ids])


def test_masked_pixels_make_no_difference() -> None:
    generator, x, z, label_map, prior = setting(2)
    mask = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(1)) > 0.4
    graph = PixelGrid(*SIZE, mask=mask)
    other = torch.where(mask[:, None], x, 50.0)
    both = [
        infer(
            Streams(0, [0, 1]),
            targets,
            generator,
            prior,
            graph,
            z,
            label_map,
            rounds=2,
            step_size=1e-3,
            mask=mask,
        )
        for targets in (x, other)
    ]
    assert torch.equal(both[0].label_map[mask], both[1].label_map[mask])
    torch.testing.assert_close(both[0].z, both[1].z)


def test_temperature_zero_climbs_and_is_deterministic() -> None:
    generator, x, z, label_map, _ = setting(2)
    prior = LabelPrior(torch.full((K,), 1 / K), potts_weight=0.5)
    runs = [
        infer(
            Streams(seed, [0, 1]),
            x,
            generator,
            prior,
            PixelGrid(*SIZE),
            z,
            label_map,
            rounds=6,
            step_size=1e-4,
            temperature=0.0,
        )
        for seed in (0, 1)
    ]
    assert torch.equal(runs[0].label_map, runs[1].label_map)
    assert (runs[0].log_joint.diff(dim=0) >= -1e-2).all()


def test_mixture_marginals_are_the_responsibilities() -> None:
    generator, x, z, label_map, _ = setting(2, latent_channels=0)
    prior = LabelPrior(torch.tensor([0.5, 0.3, 0.2]))
    posterior = infer(
        Streams(0, [0, 1]), x, generator, prior, PixelGrid(*SIZE), z, label_map, rounds=2, step_size=1.0
    )
    evidence = generator.evidence(x, generator.trunk(z, SIZE))
    expected = (evidence + prior.unary(*SIZE)).softmax(1)
    torch.testing.assert_close(posterior.probabilities, expected, rtol=1e-4, atol=1e-4)
    assert posterior.rejected.eq(0).all()


def test_joint_of_z_and_y_has_the_enumerated_label_law() -> None:
    """p(y | x) on a 1 x 2 map with z integrated out on a grid, against the alternation of z and y."""
    n = 1500
    generator = ClusteredGenerator(
        2, 1, latent_channels=1, latent_stride=None, width=3, n_features=1, sigma=1.0
    )
    with torch.no_grad():
        generator.heads[..., 1] = torch.tensor([[1.5], [-1.0]])
    x = torch.tensor([[[[0.4, -0.8]]]])
    prior, graph = LabelPrior(torch.tensor([0.6, 0.4]), potts_weight=0.5), PixelGrid(1, 2)
    grid = torch.linspace(-6, 6, 1201)
    maps = torch.tensor(list(itertools.product(range(2), repeat=2))).view(4, 1, 2)
    with torch.no_grad():
        features = generator.trunk(grid.view(-1, 1, 1, 1), (1, 2))
        law = torch.stack(
            [
                (
                    generator.log_likelihood(x.expand(1201, -1, -1, -1), features, y.expand(1201, -1, -1))
                    - grid.square() / 2
                ).logsumexp(0)
                for y in maps
            ]
        )
        law = (law + log_prior(maps, prior, graph)).softmax(0)
    start = torch.zeros(n, 1, 1, 1), torch.zeros(n, 1, 2, dtype=torch.int64)
    posterior = infer(
        Streams(0, range(n)),
        x.expand(n, -1, -1, -1),
        generator,
        prior,
        graph,
        *start,
        rounds=25,
        langevin_steps=8,
        step_size=0.1,
    )
    codes = posterior.label_map.flatten(1) @ torch.tensor([2, 1])
    shares = torch.bincount(codes, minlength=4) / n
    assert ((shares - law).abs() < 5 * (law * (1 - law) / n).sqrt()).all()
    assert posterior.log_joint.shape == (25, n)
    assert (posterior.rejected < 25).all()


def test_the_log_joint_is_that_of_the_last_state_and_the_tempered_evidence() -> None:
    generator, x, z, label_map, prior = setting(2)
    mask = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(1)) > 0.4
    graph = PixelGrid(*SIZE, mask=mask)
    options = {"rounds": 2, "step_size": 0.3, "tempering": 3.0, "mask": mask}
    posterior = infer(Streams(0, [0, 1]), x, generator, prior, graph, z, label_map, **options)
    with torch.no_grad():
        joint = log_joint(generator, x, posterior.label_map, tempering=3.0, mask=mask)(posterior.z)
    expected = joint + log_prior(posterior.label_map, prior, graph, mask)
    torch.testing.assert_close(posterior.log_joint[-1], expected, rtol=1e-4, atol=1e-3)


def stiffening(z: torch.Tensor) -> torch.Tensor:
    """log p of a curvature of 1 at 0 that grows as 1 + 300 z^2."""
    return -(z.square() / 2 + 25 * z.pow(4)).flatten(1).sum(1)


def test_curvature_that_grows_on_the_way_does_not_carry_the_chains_off(monkeypatch) -> None:
    """Measured once, at z = 0, it lets a step overshoot ever further."""
    generator, x, _, label_map, prior = setting(4)
    z = torch.zeros(4, *generator.trunk.latent_shape(*SIZE))
    monkeypatch.setattr("pixelcluster.sampling.posterior.log_joint", lambda *_, **__: stiffening)
    options = {"rounds": 10, "langevin_steps": 5, "step_size": 0.5}
    posterior = infer(Streams(0, range(4)), x, generator, prior, PixelGrid(*SIZE), z, label_map, **options)
    assert float(posterior.z.abs().max()) < 1.5
    curvature = 1 + 300 * posterior.z.square()
    assert float(curvature.max()) > 5  # it has grown
    assert posterior.rejected.eq(0).all()


@pytest.mark.parametrize(("kept", "first"), [(False, 3), (True, 1)])
def test_curvature_is_measured_in_every_round_and_its_direction_kept(monkeypatch, kept, first) -> None:
    generator, x, z, label_map, prior = setting(2)
    calls = []

    def counted(*arguments, **options):
        log_prob = log_joint(*arguments, **options)
        return lambda z: calls.append(1) or log_prob(z)

    monkeypatch.setattr("pixelcluster.sampling.posterior.log_joint", counted)
    options = {"rounds": 3, "langevin_steps": 4, "step_size": 0.3}
    options["direction"] = torch.ones_like(z) if kept else None
    posterior = infer(Streams(0, [0, 1]), x, generator, prior, PixelGrid(*SIZE), z, label_map, **options)
    assert len(calls) == 3 * (1 + 4) + first + 1 + 1
    assert posterior.direction.shape == z.shape
    assert posterior.direction.flatten(1).any(1).all()
    assert posterior.select(torch.tensor([True, False])).direction.shape[0] == 1


def test_settings_that_cannot_work_are_refused() -> None:
    generator, x, z, label_map, prior = setting(1, ConvolutionalGenerator)
    start = (z, label_map)
    with pytest.raises(PixelClusterError, match=r"period=5"):
        infer(Streams(0, [0]), x, generator, prior, PixelGrid(*SIZE), *start, rounds=1, step_size=0.1)
    graph = PixelGrid(*SIZE, period=5)
    with pytest.raises(PixelClusterError, match="burn_in"):
        infer(Streams(0, [0]), x, generator, prior, graph, *start, rounds=2, burn_in=2, step_size=0.1)
