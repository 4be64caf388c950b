from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from pixelcluster.segmenting.alone.boundaries import region_graph
from pixelcluster.segmenting.alone.evidence import (
    Evidence,
    image_evidence,
)
from pixelcluster.segmenting.alone.hierarchy import (
    Merges,
    Statistics,
    head_residual,
    likelihood_loss,
    merge_regions,
    region_statistics,
)
from pixelcluster.segmenting.alone.linking import link_clusters


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
    linked = link_clusters(statistics, graph)
    assert linked.cut(1).tolist() == [0, 1, 1]
    assert linked.costs[0] == pytest.approx(merges.costs[0])
    assert len(link_clusters(statistics, graph, touching=False).pairs) == 1  # the two at the ends


def test_a_tree_goes_on_over_the_clusters_it_leaves() -> None:
    first = Merges(5, [(0, 3), (1, 4), (5, 2)], [0.1, 0.2, 0.3])  # {0, 3}, {1, 4}, {0, 2, 3}
    later = Merges(3, [(1, 2), (0, 3)], [0.4, 0.5])  # over 2, {0, 3} and {1, 4}
    tree = first.then(2, later)
    assert first.cut(2).tolist() == [1, 2, 0, 1, 2]
    assert tree.cut(2).tolist() == first.cut(2).tolist()
    assert tree.cut(3).tolist() == [1, 1, 0, 1, 1]
    assert tree.cut(4).tolist() == [0, 0, 0, 0, 0]
    assert tree.costs == [0.1, 0.2, 0.4, 0.5]


def test_texture_counts_as_much_as_it_does_in_both() -> None:
    generator = np.random.default_rng(0)
    image = np.full((40, 80, 3), 0.5, np.float32)
    image[:, 40:] += generator.normal(0, 0.1, (40, 40, 1)).astype(np.float32)
    labels = np.repeat(np.arange(80)[None] // 40, 40, 0)
    evidence, _ = image_evidence(image)

    def apart(left: float, right: float) -> float:
        counts = np.where(labels == 0, left, right).astype(np.float32)
        both = region_statistics(labels, replace(evidence, texture_codes=evidence.texture_codes * counts))
        one, other = (Statistics(*(getattr(both, f.name)[k : k + 1] for f in fields(both))) for k in range(2))
        return float(likelihood_loss(one, other)[0])

    whole, none = apart(1, 1), apart(1e-6, 1)
    assert whole > none + 0.05
    assert apart(0.5, 1) == apart(1, 0.5) == pytest.approx((whole + none) / 2, rel=1e-3)


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


def _columns(evidence: Evidence, stop: int) -> Evidence:
    first, second, third = (codes[..., :stop] for codes in evidence.channel_codes)
    return Evidence(evidence.channels[:, :stop], (first, second, third), evidence.texture_codes[..., :stop])
