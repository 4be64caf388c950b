from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch.nn import functional

from pixelcluster.errors import PixelClusterError
from pixelcluster.targets import patches
from pixelcluster.targets.patches import (
    PatchStack,
    box_mean,
    spherical_kmeans,
    triangle_code,
    unit_root,
    zca,
)


def images(n: int = 3) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    noise = torch.rand(n, 3, 20, 16, generator=random)
    noise[:, :, :, 8:] = noise[:, :1, :, 8:].repeat_interleave(3, 1).round()
    return list(noise)


def small(**options: object) -> PatchStack:
    return PatchStack(4, n_atoms=12, patch_size=3, n_components=5, windows=(1, 3), **options)  # type: ignore[arg-type]


def test_whitening_inverts_the_covariance() -> None:
    rows = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([30.0, 20, 10, 40])
    covariance = rows.T @ rows / len(rows)
    torch.testing.assert_close(zca(rows) @ covariance @ zca(rows), torch.eye(4), atol=2e-3, rtol=0)


def test_dictionary_finds_planted_directions() -> None:
    random = torch.Generator().manual_seed(0)
    axes = torch.eye(6)[torch.randint(6, (600,), generator=random)]
    rows = axes * torch.randn(600, 1, generator=random) * 3 + 0.05 * torch.randn(600, 6, generator=random)
    atoms = spherical_kmeans(rows, 24, random)
    torch.testing.assert_close(atoms.norm(dim=1), torch.ones(24))
    assert (atoms.abs().max(0).values > 0.98).sum() == 6


def test_code_is_the_triangle_of_coates() -> None:
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(1, 7, 5, generator=random)
    atoms = functional.normalize(torch.randn(4, 5, generator=random), dim=1)
    distance = cdist(rows[0].numpy(), atoms.numpy())
    wanted = np.maximum(distance.mean(1, keepdims=True) - distance, 0)
    np.testing.assert_allclose(triangle_code(rows, atoms)[0], wanted, atol=1e-5)


def test_window_mean_at_a_corner_has_the_cells_there_are() -> None:
    values = torch.arange(12.0).view(1, 1, 3, 4)
    assert box_mean(values, 3)[0, 0, 0, 0].item() == values[0, 0, :2, :2].mean().item()


def test_distance_of_codes_is_hellinger() -> None:
    codes = torch.rand(2, 6, 1, 1, generator=torch.Generator().manual_seed(0))
    p, q = (codes / codes.sum(1, keepdim=True))[:, :, 0, 0]
    a, b = unit_root(codes)[:, :, 0, 0]
    torch.testing.assert_close((a - b).square().sum(), 2 - 2 * (p * q).sqrt().sum())
    assert unit_root(torch.zeros(1, 6, 1, 1)).isfinite().all()


def test_targets_depend_on_neither_strips_nor_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = small().fit(images(), seed=1)
    whole = stack(torch.stack(images()))
    assert whole.shape == (3, 5, 5, 4)
    monkeypatch.setattr(patches, "_STRIP", 1)
    torch.testing.assert_close(stack(torch.stack(images()[1:2])), whole[1:2], atol=1e-5, rtol=1e-4)


def test_the_seed_decides() -> None:
    a, b, c = (small().fit(images(), seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["atoms"], c["atoms"])


def test_sides_no_multiple_of_the_stride() -> None:
    assert small(scales=(1, 3)).fit(images())(torch.rand(1, 3, 7, 10)).shape == (1, 5, 2, 3)


def test_wrong_options_and_masks_are_refused() -> None:
    with pytest.raises(PixelClusterError, match="odd windows"):
        PatchStack(4, windows=(2,))
    with pytest.raises(PixelClusterError, match="masks"):
        small().fit(images(), masks=[torch.zeros(20, 16, dtype=torch.bool)] * 3)
