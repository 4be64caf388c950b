from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label as skimage_label
from skimage.metrics import variation_of_information as skimage_voi

from pixelcluster.errors import PixelClusterError
from pixelcluster.metrics.regions import (
    best_ious,
    connected_regions,
    overlap,
    rand_index,
    score_regions,
    variation_of_information,
)

SHAPE = (3, 4)
MAPS = hnp.arrays(np.int32, SHAPE, elements=st.integers(0, 3))


def covering_by_sets(machine, truth):
    """Return (covering, mean best IoU) by set operations on pixel indices."""

    def regions(labels):
        return [set(np.flatnonzero(labels.ravel() == i)) for i in np.unique(labels)]

    best = [(len(t), max(len(t & m) / len(t | m) for m in regions(machine))) for t in regions(truth)]
    return sum(n * iou for n, iou in best) / truth.size, np.mean([iou for _, iou in best])


@given(MAPS, MAPS)
@settings(deadline=None)
def test_rand_index_counts_every_pair(machine, truth):
    pairs = list(combinations(range(machine.size), 2))
    m, t = machine.ravel(), truth.ravel()
    agreeing = sum((m[i] == m[j]) == (t[i] == t[j]) for i, j in pairs)
    assert rand_index(overlap(machine, truth)) == pytest.approx(agreeing / len(pairs))


@given(MAPS, MAPS)
@settings(deadline=None)
def test_voi_agrees_with_scikit_image(machine, truth):
    # scikit-image uses base 2, too.
    expected = sum(skimage_voi(truth, machine))
    assert variation_of_information(overlap(machine, truth)) == pytest.approx(expected, abs=1e-9)


def test_voi_is_in_bits():
    halves = np.array([[0, 0, 1, 1]])
    assert variation_of_information(overlap(np.zeros_like(halves), halves)) == pytest.approx(1.0)


@given(MAPS, MAPS)
@settings(deadline=None)
def test_covering_and_overlap_agree_with_sets(machine, truth):
    scores = score_regions(machine, [truth])
    assert (scores.covering, scores.miou) == pytest.approx(covering_by_sets(machine, truth))


@given(MAPS)
@settings(deadline=None)
def test_the_truth_itself_is_perfect_whatever_its_ids(truth):
    scores = score_regions(7 * truth + 2_000_000_000, [truth])
    assert (scores.pri, scores.voi, scores.covering, scores.miou) == pytest.approx((1, 0, 1, 1))


def test_widely_scattered_ids_count_as_near_ones():
    rng = np.random.default_rng(0)
    machine, truth = rng.integers(0, 5, (8, 9)), rng.integers(0, 4, (8, 9))
    scattered = np.array([-3, 7, 10**6, 10**9, 10**12])[machine]
    assert score_regions(scattered, [truth]) == score_regions(machine, [truth])


def test_covering_is_of_the_truth_by_the_machine():
    truth = np.array([[0, 0, 0, 1]])
    one = np.zeros_like(truth)
    assert best_ious(overlap(one, truth)).tolist() == [0.75, 0.25]
    assert score_regions(one, [truth]).covering == pytest.approx((3 * 0.75 + 0.25) / 4)
    assert score_regions(truth, [one]).covering == pytest.approx(0.75)


def test_annotators_are_averaged():
    rng = np.random.default_rng(2)
    machine, truths = rng.integers(0, 3, SHAPE), [rng.integers(0, 3, SHAPE) for _ in range(3)]
    single = [score_regions(machine, [truth]) for truth in truths]
    together = score_regions(machine, truths)
    for name in ("pri", "voi", "covering", "miou"):
        assert getattr(together, name) == pytest.approx(np.mean([getattr(s, name) for s in single]))


def test_a_single_pixel_is_perfect():
    one = np.zeros((1, 1), dtype=int)
    assert score_regions(one, [one]).pri == 1


@given(hnp.arrays(np.int32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 2)))
@settings(deadline=None)
def test_components_agree_with_scikit_image(label_map):
    expected = skimage_label(label_map, background=-1, connectivity=1) - 1
    regions = connected_regions(label_map)
    assert regions.dtype == np.int32
    assert np.array_equal(regions, expected)


def test_diagonal_neighbours_are_not_connected():
    assert connected_regions(np.array([[1, 0], [0, 1]])).tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("shape", [(0, 3), (4,), (2, 2, 2)])
def test_components_need_a_map(shape):
    with pytest.raises(PixelClusterError, match="label map"):
        connected_regions(np.zeros(shape, dtype=int))


def test_sizes_must_agree():
    with pytest.raises(PixelClusterError, match="shape"):
        score_regions(np.zeros((2, 3), dtype=int), [np.zeros((3, 2), dtype=int)])


def test_at_least_one_annotator():
    with pytest.raises(PixelClusterError, match="at least one"):
        score_regions(np.zeros((2, 3), dtype=int), [])
