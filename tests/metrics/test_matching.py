from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from pixelcluster.errors import PixelClusterError
from pixelcluster.metrics.matching import Confusion, accuracy, match_clusters, mean_iou

TABLES = hnp.arrays(
    np.int64,
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    elements=st.integers(0, 6),
).filter(lambda table: table.sum() > 0)


def labels_of(table):
    """Return (clusters, classes) with that contingency table."""
    clusters, classes = np.indices(table.shape)
    return np.repeat(clusters.ravel(), table.ravel()), np.repeat(classes.ravel(), table.ravel())


def filled(table):
    confusion = Confusion(*table.shape)
    confusion.update(*labels_of(table))
    return confusion


def best_by_enumeration(table):
    """Return the largest matched count over all one-to-one matchings."""
    table = table if table.shape[0] <= table.shape[1] else table.T
    rows = np.arange(table.shape[0])
    return max(table[rows, list(columns)].sum() for columns in permutations(range(table.shape[1]), len(rows)))


@given(TABLES)
@settings(deadline=None)
def test_acc_is_the_best_one_to_one_matching(table):
    assert filled(table).acc == pytest.approx(best_by_enumeration(table) / table.sum())


@given(TABLES)
@settings(deadline=None)
def test_nmi_and_ari_agree_with_scikit_learn(table):
    clusters, classes = labels_of(table)
    confusion = filled(table)
    assert confusion.nmi == pytest.approx(normalized_mutual_info_score(classes, clusters), abs=1e-9)
    assert confusion.ari == pytest.approx(adjusted_rand_score(classes, clusters), abs=1e-9)


@given(TABLES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_scores_are_bounded_and_ignore_the_names_of_clusters(table, random):
    order = list(range(table.shape[0]))
    random.shuffle(order)
    one, other = filled(table), filled(table[order])
    for name in ("acc", "miou", "nmi", "ari"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-12)
        assert -1 <= getattr(one, name) <= 1
    assert 0 <= one.miou <= 1
    assert 1 / max(table.shape) - 1e-12 <= one.acc <= 1


def test_permuted_truth_scores_one():
    truth = np.random.default_rng(0).integers(0, 5, (3, 40, 30))
    confusion = Confusion(5, 5)
    confusion.update(np.array([3, 1, 4, 0, 2])[truth], truth)
    assert (confusion.acc, confusion.miou, confusion.nmi, confusion.ari) == pytest.approx((1, 1, 1, 1))


def test_large_counts_stay_exact():
    # 2e10 pixels; the pair counts would overflow int64.
    table = np.array([[10**10, 0], [1, 10**10]], dtype=np.int64)
    confusion = Confusion(2, 2)
    confusion.table = table
    assert confusion.acc == 2 * 10**10 / (2 * 10**10 + 1)
    assert 1 - 1e-9 < confusion.ari < 1


def test_surplus_clusters_are_wrong_and_stay_in_the_denominator():
    table = np.array([[4, 0], [3, 0], [0, 3]])
    assert match_clusters(table).tolist() == [0, -1, 1]
    assert accuracy(table) == 7 / 10
    assert mean_iou(table) == pytest.approx((4 / 7 + 1) / 2)


def test_a_class_without_a_cluster_has_iou_zero():
    table = np.array([[5, 2]])
    assert accuracy(table) == 5 / 7
    assert mean_iou(table) == pytest.approx((5 / 7 + 0) / 2)


def test_absent_classes_do_not_enter_the_mean():
    assert mean_iou(np.array([[6, 0, 0], [0, 0, 2]])) == 1


def test_ties_take_the_larger_iou():
    # Both matchings keep 3 pixels; their IoU sums are 3/6 + 0/3 and 2/5 + 1/4.
    table = np.array([[3, 2], [1, 0]])
    assert accuracy(table) == 3 / 6
    assert mean_iou(table) == mean_iou(table[::-1]) == pytest.approx((2 / 5 + 1 / 4) / 2)


def test_ignored_pixels_may_hold_any_prediction():
    confusion = Confusion(2, 2, ignore_index=-1)
    confusion.update(np.array([0, 1, 99]), np.array([0, 1, -1]))
    assert confusion.table.tolist() == [[1, 0], [0, 1]]


def test_batches_sum():
    rng = np.random.default_rng(1)
    predicted, truth = rng.integers(0, 4, (6, 50)), rng.integers(0, 3, (6, 50)).astype(np.uint8)
    whole, parts = Confusion(4, 3), Confusion(4, 3)
    whole.update(predicted, truth)
    for rows in (slice(0, 1), slice(1, 2), slice(2, 6)):
        parts.update(predicted[rows], truth[rows])
    assert np.array_equal(parts.table, whole.table)


@pytest.mark.parametrize("index", [0, 2])
def test_ignore_index_inside_the_classes_is_refused(index):
    with pytest.raises(PixelClusterError, match="ignore_index"):
        Confusion(3, 3, ignore_index=index)


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        ([0, 1], [0], "shape"),
        ([0.0, 1.0], [0, 1], "integer"),
        ([0, 2], [0, 1], "cluster ids"),
        ([0, -1], [0, 1], "cluster ids"),
        ([0, 1], [0, 2], "class ids"),
    ],
)
def test_bad_labels_are_refused(predicted, truth, message):
    with pytest.raises(PixelClusterError, match=message):
        Confusion(2, 2).update(np.array(predicted), np.array(truth))


def test_an_empty_table_has_no_score():
    confusion = Confusion(2, 2)
    confusion.update(np.array([0, 1]), np.array([255, 255]))
    for name in ("acc", "miou", "nmi", "ari"):
        with pytest.raises(PixelClusterError, match="no scored pixels"):
            getattr(confusion, name)


def test_counts_must_be_positive():
    with pytest.raises(PixelClusterError, match="at least 1"):
        Confusion(0, 3)
