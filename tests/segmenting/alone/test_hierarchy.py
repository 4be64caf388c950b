from __future__ import annotations

from dataclasses import replace

import numpy as np

from pixelcluster.segmenting.alone.boundaries import region_graph
from pixelcluster.segmenting.alone.evidence import (
    Evidence,
    image_evidence,
)
from pixelcluster.segmenting.alone.hierarchy import head_residual, merge_regions, region_statistics
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
    assert link_clusters(statistics, graph, n_clusters=2).tolist() == [0, 1, 1]
    assert link_clusters(statistics, graph).tolist() == [0, 1, 2]  # those that touch stay apart


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
