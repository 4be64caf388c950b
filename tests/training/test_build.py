from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pixelcluster.config import PriorSettings
from pixelcluster.errors import PixelClusterError
from pixelcluster.training.build import estimate_prior, make_generator, one_hot, start_generator
from tests.synthetic import MEANS, cells, settings

CPU = torch.device("cpu")


def test_the_start_is_the_clusters_and_their_residual() -> None:
    images, labels = cells(6)
    generator, sigma, maps = start_generator(images, settings(), 0)
    found = torch.cdist(MEANS, generator.heads[..., 0]).argmin(1)
    assert sorted(found.tolist()) == [0, 1, 2]
    assert all((found[label] == own).float().mean() > 0.97 for label, own in zip(labels, maps, strict=True))
    x = torch.cat([image.targets.flatten(1).T for image in images])
    nearest = torch.cdist(x, generator.heads[..., 0].detach()).min(1).values
    assert sigma == pytest.approx(float((nearest.square().sum() / x.numel()).sqrt()), rel=1e-4)


def test_masked_cells_do_not_count() -> None:
    images, _ = cells(3)
    wild = []
    for image in images:
        targets, mask = image.targets.clone(), image.mask.clone()
        targets[:, :4], mask[:4] = 50.0, False
        wild.append(replace(image, targets=targets, mask=mask))
    generator, sigma, maps = start_generator(wild, settings(), 0)
    assert generator.heads[..., 0].abs().max() < 5
    assert sigma < 1
    assert [own.shape for own in maps] == [(12, 16)] * 3
    with pytest.raises(PixelClusterError, match="every pixel is masked"):
        start_generator([replace(i, mask=torch.zeros_like(i.mask)) for i in images], settings(), 0)


def test_auto_starts_with_no_more_clusters_than_distinct_cells() -> None:
    images, _ = cells(2)
    auto = settings(n_clusters="auto", training={"max_clusters": 9})
    assert start_generator(images, auto, 0)[0].n_clusters == 9
    flat = [replace(image, targets=torch.ones_like(image.targets)) for image in images]
    generator, sigma, _ = start_generator(flat, auto, 0)
    assert generator.n_clusters == 1
    assert sigma > 0


@pytest.mark.parametrize("start", ["random", "kmeans", "spectral"])
@pytest.mark.parametrize(
    ("form", "noise"), [("heads", "isotropic"), ("heads", "full"), ("convolutional", "isotropic")]
)
def test_every_form_starts(start, noise, form) -> None:
    images, _ = cells(2)
    config = settings(training={"start": start}, generator={"noise": noise, "form": form})
    generator, _, maps = start_generator(images, config, 0)
    assert (generator.n_clusters, generator.n_channels) == (3, 3)
    assert all(own.max() < 3 for own in maps)


def test_a_given_sigma_is_used() -> None:
    images, _ = cells(2)
    assert start_generator(images, settings(generator={"sigma": 0.7}), 0)[1] == 0.7


def test_same_seed_same_weights() -> None:
    first, second, other = (make_generator(settings(), 3, 4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.shared, second.shared)
    assert not torch.equal(first.shared, other.shared)


def test_each_part_of_the_prior_switches_off() -> None:
    counts = torch.tensor([[30.0, 10.0, 0.0], [10.0, 50.0, 0.0]])
    full = estimate_prior(counts, PriorSettings(rows=2, sparsity=0.0))
    assert full.proportions[1] > full.proportions[0] > full.proportions[2] > 0
    assert full.rows is not None
    assert full.rows[0, 0] > full.rows[1, 0]
    off = estimate_prior(
        counts, PriorSettings(proportions=False, rows=0, concentration=None, potts_weight=0.0)
    )
    torch.testing.assert_close(off.proportions, torch.full((3,), 1 / 3))
    assert (off.rows, off.concentration, off.potts_weight) == (None, None, 0.0)


def test_sparsity_prunes_clusters_below_its_share() -> None:
    counts = torch.tensor([[60.0, 39.0, 1.0]])
    assert (estimate_prior(counts, PriorSettings(sparsity=0.02)).proportions > 0).tolist() == [
        True,
        True,
        False,
    ]
    assert (estimate_prior(counts, PriorSettings(sparsity=0.005)).proportions > 0).all()


def test_sparsity_leaves_balanced_clusters_however_many() -> None:
    counts = torch.full((8, 150), 10.0)
    assert (estimate_prior(counts, PriorSettings(sparsity=0.01)).proportions > 0).all()
    counts[:, 7] = 0.1  # a hundredth of its share
    pruned = estimate_prior(counts, PriorSettings(sparsity=0.01)).proportions == 0
    assert pruned.nonzero().flatten().tolist() == [7]


def test_one_hot() -> None:
    label_map = torch.tensor([[0, 2], [1, 2]], dtype=torch.int16)
    encoded = one_hot(label_map, 3)
    assert encoded.shape == (1, 3, 2, 2)
    assert torch.equal(encoded.argmax(1)[0], label_map.long())
    assert encoded.sum() == 4
