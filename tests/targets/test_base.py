from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from pixelcluster.errors import PixelClusterError
from pixelcluster.targets.grid import cells_used, grid_shape, to_grid
from pixelcluster.targets.linear_maps import Moments, common_scale, principal_components, standardise
from pixelcluster.targets.rgb import RgbStack


def rows(n: int = 500) -> torch.Tensor:
    random = torch.Generator().manual_seed(3)
    mixing = torch.randn(4, 4, generator=random, dtype=torch.float64)
    return 1000 + torch.randn(n, 4, generator=random, dtype=torch.float64) @ mixing


def test_moments_in_parts_equal_numpy() -> None:
    moments, data = Moments(4), rows()
    for part in data.split(70):
        moments.add(part)
    np.testing.assert_allclose(moments.mean(), data.numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance(), np.cov(data.numpy().T, bias=True), rtol=1e-9)


def test_moments_without_rows_are_refused() -> None:
    moments = Moments(2)
    moments.add(torch.zeros(0, 2))
    with pytest.raises(PixelClusterError, match="no label cell"):
        moments.mean()


def test_maps_give_mean_variance_one() -> None:
    covariance = torch.cov(rows().T)
    for matrix in (common_scale(covariance), standardise(covariance), principal_components(covariance, 2)):
        mapped = matrix @ covariance @ matrix.T
        assert mapped.diagonal().mean().item() == pytest.approx(1)
    np.testing.assert_allclose(
        standardise(covariance) @ covariance @ standardise(covariance).T, np.corrcoef(rows().T)
    )


def test_principal_components_equal_numpy_svd() -> None:
    data = rows() - rows().mean(0)
    matrix = principal_components(torch.cov(rows().T), 2)
    directions = np.linalg.svd(data.numpy(), full_matrices=False)[2][:2]
    cosines = (functional.normalize(matrix, dim=1) * torch.from_numpy(directions)).sum(1).abs()
    np.testing.assert_allclose(cosines, 1, rtol=1e-9)


def test_constant_channels_do_not_explode() -> None:
    covariance = torch.diag(torch.tensor([1.0, 0.0]))
    assert standardise(covariance).abs().max() <= 1001
    assert torch.equal(common_scale(torch.zeros(2, 2)), torch.eye(2))


@pytest.mark.parametrize("size", [(8, 12), (9, 10), (1, 5), (3, 1)])
def test_grid_averages_the_pixels_there_are(size: tuple[int, int]) -> None:
    values = torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(0))
    grid = to_grid(values, 4)
    assert grid.shape[2:] == grid_shape(*size, 4)
    last = values[..., (grid.shape[2] - 1) * 4 :, (grid.shape[3] - 1) * 4 :]
    torch.testing.assert_close(grid[..., -1, -1], last.mean((2, 3)))


def test_cells_used_wants_half_of_the_pixels() -> None:
    mask = torch.zeros(4, 8, dtype=torch.bool)
    mask[:2, :4], mask[0, 4:] = True, True
    assert cells_used(mask, 4).tolist() == [[True, False]]


def test_masked_pixels_do_not_count() -> None:
    images = list(torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:, :4] = True
    spoiled = [torch.where(mask, image, 1.0) for image in images]
    a, b = (RgbStack(4).fit(data, masks=[mask] * 3) for data in (images, spoiled))
    assert torch.equal(a.mean, b.mean)
    assert torch.equal(a.matrix, b.matrix)
    torch.testing.assert_close(a.mean, torch.stack(images)[..., :4].mean((0, 2, 3)))


def test_state_restores_the_stack() -> None:
    images = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(1))
    stack, other = RgbStack(2).fit(list(images)), RgbStack(2)
    with pytest.raises(PixelClusterError, match="no statistics"):
        other(images)
    other.load_state_dict(stack.state_dict())
    assert torch.equal(other(images), stack(images))


def test_wrong_input_is_refused() -> None:
    image = torch.zeros(3, 4, 4)
    with pytest.raises(PixelClusterError, match="label_stride"):
        RgbStack(0)
    with pytest.raises(PixelClusterError, match="no images"):
        RgbStack(2).fit([])
    with pytest.raises(PixelClusterError, match="1 masks for 2 images"):
        RgbStack(2).fit([image, image], masks=[torch.ones(4, 4, dtype=torch.bool)])
    with pytest.raises(PixelClusterError, match="no label cell"):
        RgbStack(2).fit([image], masks=[torch.zeros(4, 4, dtype=torch.bool)])
    with pytest.raises(PixelClusterError, match="wanted"):
        RgbStack(2).fit([image])(image)
