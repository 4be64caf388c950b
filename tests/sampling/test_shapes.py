"""The contract of inference for any shape: shapes, ranges, sums, independence of the batch."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelcluster.model.convolutional import ConvolutionalGenerator
from pixelcluster.model.generator import ClusteredGenerator
from pixelcluster.model.graph import PixelGrid
from pixelcluster.model.prior import LabelPrior
from pixelcluster.sampling.gibbs import draw_labels
from pixelcluster.sampling.noise import Streams
from pixelcluster.sampling.posterior import infer

sizes = st.tuples(st.integers(1, 7), st.integers(1, 7))


@settings(max_examples=30, deadline=None)
@given(
    size=sizes,
    n_images=st.integers(1, 3),
    n_clusters=st.integers(1, 5),
    n_channels=st.integers(1, 4),
    latent=st.sampled_from([(0, None), (2, None), (3, 1), (2, 4)]),
    noise=st.sampled_from(["isotropic", "full"]),
    form=st.sampled_from([ClusteredGenerator, ConvolutionalGenerator]),
    concentration=st.sampled_from([None, 0.05]),
    rows=st.booleans(),
    temperature=st.sampled_from([0.0, 1.0]),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_whatever_the_shape(
    size,
    n_images,
    n_clusters,
    n_channels,
    latent,
    noise,
    form,
    concentration,
    rows,
    temperature,
    masked,
    seed,
) -> None:
    random = torch.Generator().manual_seed(seed)
    generator = form(
        n_clusters,
        n_channels,
        latent_channels=latent[0],
        latent_stride=latent[1],
        width=3,
        noise=noise,
        sigma=0.7,
        seed=seed,
    )
    table = torch.rand(2, n_clusters, generator=random) + 0.1
    prior = LabelPrior(
        torch.full((n_clusters,), 1 / n_clusters),
        table / table.sum(1, keepdim=True) if rows else None,
        concentration=concentration,
        potts_weight=0.4,
    )
    x = torch.randn(n_images, n_channels, *size, generator=random)
    start = torch.randint(n_clusters, (n_images, *size), generator=random)
    mask = torch.rand(n_images, *size, generator=random) < 0.7 if masked else None
    z = torch.zeros(n_images, *generator.trunk.latent_shape(*size))

    def run(images: list[int]):
        return infer(
            Streams(seed, images),
            x[images],
            generator,
            prior,
            PixelGrid(
                *size, mask=None if mask is None else mask[images], period=max(2, generator.receptive_field)
            ),
            z[images],
            start[images],
            rounds=2,
            burn_in=1,
            step_size=0.1,
            langevin_steps=2,
            temperature=temperature,
            mask=None if mask is None else mask[images],
        )

    found = run([*range(n_images)])
    assert found.z.shape == z.shape
    assert found.label_map.shape == start.shape
    assert found.probabilities.shape == (n_images, n_clusters, *size)
    assert found.log_joint.shape == (2, n_images)
    assert found.rejected.shape == (n_images,)
    assert found.label_map.dtype == torch.int64
    assert 0 <= int(found.label_map.min()) <= int(found.label_map.max()) < n_clusters
    assert found.z.isfinite().all()
    assert found.log_joint.isfinite().all()
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(n_images, *size), atol=1e-4, rtol=0)
    alone = run([n_images - 1])
    torch.testing.assert_close(alone.z[0], found.z[-1], atol=1e-3, rtol=1e-3)


@settings(max_examples=100, deadline=None)
@given(
    weights=st.lists(st.sampled_from([0.0, 1e-30, 0.2, 1.0, 1e20]), min_size=1, max_size=6),
    uniform=st.floats(0, 1 - 2**-24, width=32),
)
def test_a_draw_is_a_label_that_can_be(weights: list[float], uniform: float) -> None:
    if sum(weights) == 0:
        weights[0] = 1.0
    drawn = int(draw_labels(torch.tensor(weights)[None, :, None], torch.tensor([[uniform]])))
    assert weights[drawn] > 0
