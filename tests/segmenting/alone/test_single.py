from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.read import read_image
from pixelcluster.io.windows import fill_invalid
from pixelcluster.segmenting.alone.boundaries import boundary_strength, region_graph
from pixelcluster.segmenting.alone.evidence import (
    image_evidence,
    stack_evidence,
)
from pixelcluster.segmenting.alone.hierarchy import best_number_of_merges, region_statistics
from pixelcluster.segmenting.alone.linking import link_clusters
from pixelcluster.segmenting.alone.search import find_clusters
from pixelcluster.segmenting.alone.single import segment_image
from pixelcluster.segmenting.watch import Glimpse


def agreement(labels: np.ndarray, truth: np.ndarray) -> float:
    """Share of pixels in the best truth region of their cluster."""
    shape = (int(labels.max()) + 1, int(truth.max()) + 1)
    table = np.bincount(labels.ravel() * shape[1] + truth.ravel(), minlength=shape[0] * shape[1]).reshape(
        shape
    )
    return float(table.max(1).sum() / labels.size)


def test_two_colours_are_found_without_being_told_how_many(disc: tuple[np.ndarray, np.ndarray]) -> None:
    image, truth = disc
    result = segment_image(image)
    assert result.label_map.dtype == np.int32
    assert result.label_map.max() == 1
    assert agreement(result.label_map, truth) > 0.99


def test_two_textures_of_one_mean_colour_are_told_apart() -> None:
    generator = np.random.default_rng(1)
    y, x = np.mgrid[:120, :160]
    stripes = np.where(x < 80, np.sin(x * 2 * np.pi / 5), np.sin(y * 2 * np.pi / 5))
    grey = 0.5 + 0.3 * stripes + generator.normal(0, 0.02, stripes.shape)
    image = np.repeat(grey[..., None], 3, -1).astype(np.float32)
    result = segment_image(image, n_clusters=2)
    assert agreement(result.label_map, (x >= 80).astype(np.int64)) > 0.95


def test_shading_is_not_cut_into_bands() -> None:
    y, x = np.mgrid[:120, :160] / 160
    sky = np.stack([0.2 + 0.5 * y, 0.4 + 0.4 * y, 0.8 + 0.1 * x], -1)
    sky += np.random.default_rng(2).normal(0, 0.01, sky.shape)
    sky[90:] = (0.25, 0.2, 0.1)
    result = segment_image(sky.astype(np.float32))
    assert result.label_map.max() == 1
    assert agreement(result.label_map, (np.mgrid[:120, :160][0] >= 90).astype(np.int64)) > 0.99


def test_regions_apart_share_a_cluster() -> None:
    image = np.full((80, 120, 3), 0.15, dtype=np.float32)
    image[20:60, 15:45] = image[20:60, 75:105] = (0.9, 0.2, 0.2)
    labels = np.zeros((80, 120), dtype=np.intp)
    labels[20:60, 15:45], labels[20:60, 75:105] = 1, 2
    evidence, _ = image_evidence(image)
    statistics = region_statistics(labels, evidence)
    linked = link_clusters(statistics, region_graph(labels, boundary_strength(evidence)), touching=False)
    assert linked.cut(best_number_of_merges(linked)).tolist() == [0, 1, 1]


@pytest.mark.parametrize("k", [None, 2])
@pytest.mark.parametrize("noise", [0, 0.03])
def test_many_small_things_are_one_cluster(noise: float, k: int | None) -> None:
    """60 discs of 28 pixels: each alone is less than a cluster costs."""
    generator = np.random.default_rng(0)
    row, column = np.mgrid[:600, :600]
    truth = np.zeros((600, 600), np.int64)
    for centre in np.argwhere(np.ones((8, 8))) * 70 + 55 + generator.integers(-15, 15, (64, 2)):
        truth[np.hypot(row - centre[0], column - centre[1]) < 14] = 1
    image = cv2.GaussianBlur(np.where(truth == 1, 0.6, 0.2).astype(np.float32), (0, 0), 1.5)
    image = np.repeat(
        (image + noise * generator.normal(size=image.shape).astype(np.float32))[..., None], 3, 2
    )
    labels = segment_image(image.clip(0, 1), n_clusters=k).label_map
    assert labels.max() == 1
    found = labels == 1
    assert (found & (truth == 1)).sum() > 0.75 * (found | (truth == 1)).sum()


@pytest.mark.parametrize("noise", [0, 4])
def test_a_thin_ring_is_not_cut_into_arcs(noise: int) -> None:
    row, column = np.mgrid[:600, :600]
    ring = abs(np.hypot(row - 300, column - 300) - 150) < 8
    image = np.where(cv2.blur(ring.astype(np.float32), (2, 2))[..., None] > 0.5, 0.95, (0.48, 0.29, 0.19))
    image += np.random.default_rng(0).normal(0, noise / 255, image.shape)
    image = cv2.blur(image.astype(np.float32), (3, 3)).clip(0, 1)
    counts = np.bincount(segment_image(image).label_map[ring])
    assert counts.max() > 0.9 * counts.sum()


def test_a_drawing_of_few_colours_is_its_own_label_map() -> None:
    """Pixel art of 16 x 16: no filter has room there."""
    palette = np.array([[0.4, 0.7, 1], [0.8, 0.1, 0.1], [0.5, 0.3, 0.1], [0.1, 0.1, 0.1]], np.float32)
    truth = np.zeros((16, 16), np.int64)
    truth[12:], truth[4:12, 5:11], truth[5:7, 7:10] = 2, 1, 3
    for size, k in ((1, None), (1, 4), (1, 9), (32, None)):
        image = palette[truth].repeat(size, 0).repeat(size, 1)
        told: list[Glimpse] = []
        result = segment_image(image, n_clusters=k, probabilities=True, watch=told.append)
        assert [glimpse.share for glimpse in told] == [0, 1]
        assert result.n_clusters == 4
        assert all(len(np.unique(image[result.label_map == c], axis=0)) == 1 for c in range(4))
        assert np.array_equal(result.probabilities.argmax(0), result.label_map)
    assert segment_image(palette[truth], n_clusters=3).n_clusters == 3


def test_a_dither_is_no_drawing() -> None:
    dots = np.random.default_rng(0).random((120, 160)) < np.where(np.arange(160) < 80, 0.2, 0.7)
    image = np.repeat(dots.astype(np.float32)[..., None], 3, 2)
    labels = segment_image(image).label_map
    assert agreement(labels, np.mgrid[:120, :160][1] // 80) > 0.95
    assert len(np.unique(labels[:, :60])) == 1


@pytest.mark.parametrize("side", [32, 64, 256])
def test_a_drawing_has_no_more_clusters_than_colours(side: int) -> None:
    row, column = np.mgrid[:side, :side] / side
    disc = (row - 0.5) ** 2 + (column - 0.5) ** 2 < 0.16
    disc &= ~((abs(row - 0.5) < 0.05) & (abs(column - 0.5) < 0.25))  # with a bar of the ground's colour
    image = np.where(disc[..., None], (0.9, 0.1, 0.1), 1.0).astype(np.float32)
    result = segment_image(image)
    assert result.n_clusters == 2
    assert agreement(result.label_map, disc.astype(np.int64)) > 0.95


def test_a_plain_ground_is_one_cluster_whatever_stands_on_it() -> None:
    image = np.ones((300, 400, 3), dtype=np.float32)
    image[:6, :, 2] = np.linspace(0, 1, 400)  # many colours
    for column, top, colour in ((40, 80, (0, 0.5, 1)), (130, 160, (1, 0.5, 0)), (220, 40, (0, 0.6, 0))):
        image[top:280, column : column + 60] = colour
    counts = np.bincount(segment_image(image).label_map[(image == 1).all(2)])
    assert counts.max() > 0.95 * counts.sum()  # but for some of it beside the strip


def test_a_grey_level_of_noise_moves_few_labels() -> None:
    image = read_image(Path(__file__).parents[3] / "assets" / "samples" / "china.jpg")
    noise = np.random.default_rng(0).integers(-1, 2, image.shape).astype(np.float32) / 255
    before, after = segment_image(image), segment_image(np.clip(image + noise, 0, 1))
    assert agreement(before.label_map, after.label_map.astype(np.int64)) > 0.97


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (2, 3), (17, 400)])
def test_constant_images_are_one_cluster(shape: tuple[int, int]) -> None:
    result = segment_image(np.full((*shape, 3), 0.3, dtype=np.float32), probabilities=True)
    assert result.label_map.shape == shape
    assert not result.label_map.any()
    assert result.probabilities is not None
    assert np.array_equal(result.probabilities, np.ones((1, *shape), dtype=np.float32))


def test_degenerate_shapes_with_content() -> None:
    row = np.zeros((1, 5000, 3), dtype=np.float32)
    row[:, 2000:] = (0.9, 0.8, 0.1)
    for image in (row, row.transpose(1, 0, 2)):
        labels = segment_image(image).label_map.ravel()
        assert (labels[:1990] == 1).all()
        assert (labels[2010:] == 0).all()


@pytest.mark.parametrize("k", [1, 2, 3, 7, 40])
def test_exact_number_of_clusters(k: int, disc: tuple[np.ndarray, np.ndarray]) -> None:
    labels = segment_image(disc[0], n_clusters=k).label_map
    assert np.array_equal(np.unique(labels), np.arange(k))
    areas = np.bincount(labels.ravel())
    assert (np.diff(areas) <= 0).all()


def test_more_clusters_than_colours_returns_one_for_each_colour(quadrants: np.ndarray) -> None:
    labels = segment_image(quadrants, n_clusters=9).label_map
    assert labels.max() == 3
    assert all(len(np.unique(quadrants[labels == k], axis=0)) == 1 for k in range(4))
    scattered = np.random.default_rng(3).random((4, 5, 3)).astype(np.float32)
    assert segment_image(scattered, n_clusters=20).label_map.max() == 19


def test_nothing_is_random(disc: tuple[np.ndarray, np.ndarray]) -> None:
    image = np.random.default_rng(4).random((50, 70, 3)).astype(np.float32) * 0.3 + disc[0][:50, :70] * 0.7
    first, second = (segment_image(image, probabilities=True) for _ in range(2))
    assert np.array_equal(first.label_map, second.label_map)
    assert np.array_equal(first.probabilities, second.probabilities)


def test_probabilities_are_conditionals_that_agree_with_the_map(disc: tuple[np.ndarray, np.ndarray]) -> None:
    soft = cv2.GaussianBlur(disc[0], (0, 0), 1)
    result = segment_image(soft, n_clusters=2, probabilities=True)
    p = result.probabilities
    assert p is not None
    assert p.shape == (2, 90, 120)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
    assert (p.argmax(0) == result.label_map).mean() > 0.999
    assert p.max(0)[:10].min() > 0.99
    assert p.max(0).min() < 0.9  # some pixels on the frontier are in doubt


def test_a_stack_of_any_depth_is_evidence() -> None:
    stack = np.random.default_rng(5).normal(0, 0.1, (60, 80, 6)).astype(np.float32)
    stack[:, 40:, 2] += 3
    clusters = find_clusters(stack_evidence(stack), None).clusters
    assert agreement(clusters, (np.mgrid[:60, :80][1] >= 40).astype(np.int64)) > 0.99
    assert clusters.max() == 1


def test_objective_rises_and_progress_is_told(disc: tuple[np.ndarray, np.ndarray]) -> None:
    told: list[Glimpse] = []
    result = segment_image(disc[0], watch=told.append)
    shares = [glimpse.share for glimpse in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    seen = [glimpse for glimpse in told if glimpse.label_map is not None]
    regions = [len(np.unique(glimpse.label_map)) for glimpse in seen]
    assert regions == sorted(regions, reverse=True)
    assert regions[0] > regions[-1] == result.label_map.max() + 1
    assert seen[0].objective == 0.0
    assert seen[-1].objective > 0.0


def test_large_images_keep_the_grid_bounded_and_the_labels_sharp() -> None:
    image = np.full((1200, 1600, 3), 0.2, dtype=np.float32)
    image[301:901, 403:1203] = (0.7, 0.2, 0.3)
    labels = segment_image(image).label_map
    truth = np.zeros((1200, 1600), dtype=np.int32)
    truth[301:901, 403:1203] = 1
    # The frontier lies on the very pixel, not on the grid's; the Potts prior may round the corners.
    assert (labels != truth).sum() < 60


def test_refusals() -> None:
    image = np.zeros((4, 5, 3), dtype=np.float32)
    with pytest.raises(PixelClusterError, match="n_clusters is 0"):
        segment_image(image, n_clusters=0)
    with pytest.raises(PixelClusterError, match=r"wanted \(H, W, 3\)"):
        segment_image(image[..., 0])


def test_only_pixels_of_split_clusters_are_certain() -> None:
    """20 clusters of a noisy disc on flat blue: the grid has 15, those of the disc are split."""
    y, x = np.mgrid[:90, :120]
    disc = (y - 45) ** 2 + (x - 60) ** 2 < 25**2
    image = np.where(disc[..., None], (0.8, 0.5, 0.1), (0.2, 0.3, 0.7)).astype(np.float32)
    image[disc] += np.random.default_rng(0).normal(0, 0.04, (int(disc.sum()), 3)).astype(np.float32)
    found = segment_image(image.clip(0, 1), n_clusters=20, probabilities=True)
    assert found.n_clusters == 20
    assert found.probabilities is not None
    np.testing.assert_allclose(found.probabilities.sum(0), 1, atol=1e-5)
    assert (found.probabilities.argmax(0) == found.label_map).mean() > 0.98
    assert 0.02 < (found.probabilities.max(0) < 1 - 1e-4).mean() < 0.5


def test_what_is_not_valid_weighs_nothing() -> None:
    """A spot at the edge of a hole is far larger in the filled picture than it is."""
    image = np.full((90, 120, 3), 0.3, np.float32)
    image[40:50, 57:60] = 0.9
    valid = np.arange(120) < np.full((90, 1), 60)
    filled = fill_invalid(image, valid)
    assert filled[45, 110, 0] == pytest.approx(0.9)
    assert segment_image(filled).n_clusters > 1
    assert segment_image(filled, valid=valid).n_clusters == 1


def test_few_clusters_keep_the_large_division() -> None:
    """A small bright patch stands out more than two halves do, but says less of the picture."""
    generator = np.random.default_rng(0)
    image = np.full((200, 300, 3), 0.45, np.float32)
    image[:, 150:] = (0.36, 0.45, 0.36)
    image[80:105, 60:90] = 0.95
    image += generator.normal(0, 0.02, image.shape).astype(np.float32)
    assert segment_image(image.clip(0, 1)).n_clusters == 3
    labels = segment_image(image.clip(0, 1), n_clusters=2).label_map
    assert agreement(labels, np.mgrid[:200, :300][1] // 150) > 0.97


def test_a_gradient_of_few_levels_is_no_drawing() -> None:
    levels = (np.linspace(100, 108, 320).round() / 255).astype(np.float32)
    image = np.broadcast_to(levels[None, :, None], (240, 320, 3)).copy()
    assert segment_image(image).n_clusters == 1
