from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.read import read_image
from pixelcluster.io.windows import fill_invalid
from pixelcluster.segmenting.alone.boundaries import boundary_strength, region_graph, watershed_atoms
from pixelcluster.segmenting.alone.evidence import (
    GRID_CELLS,
    Evidence,
    brighten,
    brightening,
    grid_shape,
    image_evidence,
    lab,
    soft_codes,
    stack_evidence,
)
from pixelcluster.segmenting.alone.heads import SHARE_FLOOR, fit_heads
from pixelcluster.segmenting.alone.hierarchy import head_residual, merge_regions, region_statistics
from pixelcluster.segmenting.alone.linking import link_clusters, one_colour, split_clusters
from pixelcluster.segmenting.alone.pixel_field import label_probabilities, map_labels
from pixelcluster.segmenting.alone.single import find_clusters, segment_image
from pixelcluster.segmenting.watch import Glimpse


def agreement(labels: np.ndarray, truth: np.ndarray) -> float:
    """Share of pixels in the best truth region of their cluster."""
    shape = (int(labels.max()) + 1, int(truth.max()) + 1)
    table = np.bincount(labels.ravel() * shape[1] + truth.ravel(), minlength=shape[0] * shape[1]).reshape(
        shape
    )
    return float(table.max(1).sum() / labels.size)


@pytest.fixture
def disc() -> tuple[np.ndarray, np.ndarray]:
    """A noisy orange disc on noisy blue, (90, 120, 3), and its mask."""
    y, x = np.mgrid[:90, :120]
    mask = ((y - 45) ** 2 + (x - 60) ** 2 < 25**2).astype(np.int64)
    colours = np.array([[0.2, 0.3, 0.7], [0.8, 0.5, 0.1]])
    noise = np.random.default_rng(0).normal(0, 0.04, (90, 120, 3))
    return np.clip(colours[mask] + noise, 0, 1).astype(np.float32), mask


def test_two_colours_are_found_without_being_told_how_many(disc: tuple[np.ndarray, np.ndarray]) -> None:
    image, truth = disc
    result = segment_image(image)
    assert result.label_map.dtype == np.int32
    assert result.label_map.max() == 1
    assert agreement(result.label_map, truth) > 0.99


def test_dark_images_are_brightened_to_a_common_median_and_others_left_alone() -> None:
    dark = np.random.default_rng(0).uniform(0.05, 0.3, (90, 120, 3)).astype(np.float32)

    def project(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        return brighten(lab(pixels), brightening(lab(image)[..., 0]))

    before, after = lab(dark), project(dark, dark)
    assert np.median(after[..., 0]) == pytest.approx(30, abs=0.1)
    assert np.array_equal(np.argsort(before[..., 0].ravel()), np.argsort(after[..., 0].ravel()))
    np.testing.assert_array_equal(after[..., 1:], before[..., 1:])
    assert 0 < np.median(project(dark / 10, dark / 10)[..., 0]) < 30  # noise is not blown up without bound
    np.testing.assert_array_equal(project(dark + np.float32(0.5), dark), before)


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
    assert link_clusters(statistics, region_graph(labels, boundary_strength(evidence))).tolist() == [0, 1, 1]


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


def test_a_gradient_is_no_plain_colour() -> None:
    ramp = np.repeat(np.tile(np.linspace(0.2, 0.8, 160, dtype=np.float32), (60, 1))[..., None], 3, 2)
    stripes = np.tile(np.arange(160) // 2, (60, 1))
    evidence, _ = image_evidence(ramp)
    group = one_colour(region_statistics(stripes, evidence))
    lightness = evidence.channels[0, ::2, 0]
    assert group.max() > 20
    assert all(np.ptp(lightness[group == k]) < 1.5 for k in range(group.max() + 1))


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


@pytest.mark.parametrize(
    "shape", [(1, 1), (321, 481), (481, 321), (1, 10_000_000), (30_000, 30_000), (3, 900_000)]
)
def test_grid_is_bounded(shape: tuple[int, int]) -> None:
    rows, columns = grid_shape(*shape)
    assert 1 <= rows <= shape[0]
    assert 1 <= columns <= shape[1]
    assert rows * columns <= 1.1 * GRID_CELLS


def test_soft_codes_sum_to_one_and_peak_at_the_value() -> None:
    codes = soft_codes(np.array([[-5.0, 5.0, 55.0, 400.0]], dtype=np.float32), 0, 120)
    np.testing.assert_allclose(codes.sum(0), 1, rtol=1e-6)
    assert codes.argmax(0).tolist() == [[0, 0, 5, 11]]


def test_watershed_has_one_basin_for_each_minimum_and_for_each_plateau() -> None:
    relief = np.full((7, 9), 0.0, dtype=np.float32)
    relief[:, 4] = 1.0
    atoms = watershed_atoms(relief)
    assert len(np.unique(atoms[:, :4])) == len(np.unique(atoms[:, 5:])) == 1
    assert atoms[0, 0] != atoms[0, 8]
    assert atoms.max() == 1
    assert watershed_atoms(np.zeros((300, 400), dtype=np.float32)).max() == 0
    noise = np.random.default_rng(6).random((100, 100)).astype(np.float32)
    assert watershed_atoms(noise, max_atoms=20).max() < 20


def test_region_graph_counts_frontiers() -> None:
    labels = np.array([[0, 0, 1], [2, 2, 1]])
    first, second, length, total = region_graph(labels, np.arange(6, dtype=np.float32).reshape(2, 3))
    edges = list(zip(first, second, length, total, strict=True))
    assert edges == [(0, 1, 1, 2), (0, 2, 2, 3 + 4), (1, 2, 1, 5)]


def test_head_residual_equals_least_squares() -> None:
    generator = np.random.default_rng(7)
    image = generator.random((20, 30, 3)).astype(np.float32)
    evidence, _ = image_evidence(image)
    statistics = region_statistics(np.zeros((20, 30), dtype=np.intp), evidence)
    v, u = np.mgrid[:20, :30] / 100
    design = np.stack([u.ravel(), v.ravel(), np.ones(600)], 1)
    _, expected, _, _ = np.linalg.lstsq(design, evidence.channels.reshape(-1, 3).astype(np.float64))
    np.testing.assert_allclose(head_residual(statistics.moments, statistics.size), expected.sum(), rtol=1e-3)


def test_statistics_of_a_union_are_sums(disc: tuple[np.ndarray, np.ndarray]) -> None:
    evidence, _ = image_evidence(disc[0])
    parts = region_statistics(disc[1], evidence)
    whole = region_statistics(np.zeros_like(disc[1]), evidence)
    np.testing.assert_allclose(parts.codes.sum(0), whole.codes[0])
    np.testing.assert_allclose(parts.moments.sum(0), whole.moments[0])
    assert parts.residual.sum() < whole.residual[0]


def test_merging_joins_what_looks_alike_first() -> None:
    image = np.zeros((30, 90, 3), dtype=np.float32)
    image[:, 30:60], image[:, 60:] = 0.9, 0.95
    labels = np.repeat(np.arange(90)[None] // 30, 30, 0)
    evidence, _ = image_evidence(image)
    strength = np.zeros((30, 90), dtype=np.float32)
    statistics, graph = region_statistics(labels, evidence), region_graph(labels, strength)
    merges = merge_regions(statistics, graph)
    assert sorted(merges.pairs[0]) == [1, 2]
    assert merges.cut(1).tolist() == [0, 1, 1]
    assert merges.cut(2).tolist() == [0, 0, 0]
    assert link_clusters(statistics, graph, n_clusters=2).tolist() == [0, 1, 1]
    assert link_clusters(statistics, graph).tolist() == [0, 1, 2]  # those that touch stay apart


def test_split_gives_every_colour_its_cluster() -> None:
    image = np.array([[[0, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1]]], dtype=np.float32)
    start = np.zeros((1, 4), dtype=np.int32)
    assert split_clusters(start, image, 2).max() == 1
    assert len(np.unique(split_clusters(start, image, 8))) == 3


def test_nothing_to_split_is_left_alone() -> None:
    labels = np.array([[0, 1, 2]], dtype=np.int32)
    assert split_clusters(labels, np.zeros((1, 3, 3), np.float32), 3) is labels


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


def test_conditionals_equal_the_formula_on_a_small_map() -> None:
    """Every conditional of a 3 x 3 map, term by term, without the vectorised code."""
    from pixelcluster.segmenting.alone.heads import TEMPER
    from pixelcluster.segmenting.alone.pixel_field import CONTRAST, POTTS

    generator = np.random.default_rng(8)
    x = generator.normal(40, 6, (3, 3, 3)).astype(np.float32)
    labels = np.array([[0, 0, 1], [0, 1, 1], [0, 0, 1]], dtype=np.int32)
    evidence, _ = image_evidence(generator.random((3, 3, 3)).astype(np.float32))
    heads = fit_heads(labels, region_statistics(labels, evidence))
    found = label_probabilities(labels, lambda a, b: x[a:b], heads)
    for i in range(3):
        for j in range(3):
            score = np.zeros(2)
            for k in range(2):
                z = np.array([j, i]) / 100 - heads.centre[k]
                residual = (x[i, j] - heads.mean[k] - heads.loading[k] @ z) ** 2 / heads.variance[k]
                score[k] = -0.5 * TEMPER * (np.minimum(residual, 16) + np.log(heads.variance[k])).sum()
                score[k] += np.log(heads.share[i, j, k] + SHARE_FLOOR)
                for a in range(max(0, i - 1), min(3, i + 2)):
                    for b in range(max(0, j - 1), min(3, j + 2)):
                        if (a, b) != (i, j) and labels[a, b] == k:
                            contrast = np.exp(-((x[i, j] - x[a, b]) ** 2).sum() / (2 * CONTRAST**2))
                            score[k] += POTTS * contrast / np.hypot(a - i, b - j)
            expected = np.exp(score - score.max()) / np.exp(score - score.max()).sum()
            np.testing.assert_allclose(found[:, i, j], expected, rtol=1e-3, atol=1e-6)


def test_sweeps_do_not_depend_on_the_strips(
    disc: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, truth = disc
    start = (np.roll(truth, 1, axis=1)).astype(np.int32)
    evidence, project = image_evidence(image)

    def channels(first: int, last: int) -> np.ndarray:
        return project(image[first:last])

    heads = fit_heads(truth, region_statistics(truth, evidence))
    whole = map_labels(start, channels, heads)
    assert (whole != start).any()
    assert (whole == truth).mean() > (start == truth).mean()
    monkeypatch.setattr("pixelcluster.segmenting.alone.pixel_field._STRIP", 120 * 16)
    strips = map_labels(start, channels, heads)
    assert (whole != strips).mean() < 1e-3
    probabilities = label_probabilities(whole, channels, heads)
    monkeypatch.setattr("pixelcluster.segmenting.alone.pixel_field._STRIP", 10**9)
    np.testing.assert_allclose(label_probabilities(whole, channels, heads), probabilities, atol=1e-6)


def test_cells_without_weight_do_not_count(disc) -> None:
    image, mask = disc
    evidence, _ = image_evidence(image)
    strange = evidence.channels.copy()
    strange[:, 80:] = 90.0
    weight = (np.arange(120) < 80).astype(np.float32) * np.ones((90, 1), np.float32)
    whole = region_statistics(mask[:, :80], _columns(evidence, 80))
    part = region_statistics(mask, replace(evidence, channels=strange, weight=weight))
    for name in ("size", "codes", "moments"):
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name), rtol=1e-3, atol=1e-3)


def test_what_is_not_valid_weighs_nothing() -> None:
    """A spot at the edge of a hole is far larger in the filled picture than it is."""
    image = np.full((90, 120, 3), 0.3, np.float32)
    image[40:50, 57:60] = 0.9
    valid = np.arange(120) < np.full((90, 1), 60)
    filled = fill_invalid(image, valid)
    assert filled[45, 110, 0] == pytest.approx(0.9)
    assert segment_image(filled).n_clusters > 1
    assert segment_image(filled, valid=valid).n_clusters == 1


def _columns(evidence: Evidence, stop: int) -> Evidence:
    first, second, third = (codes[..., :stop] for codes in evidence.channel_codes)
    return Evidence(evidence.channels[:, :stop], (first, second, third), evidence.texture_codes[..., :stop])
