from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.segmenting.alone.evidence import (
    image_evidence,
)
from pixelcluster.segmenting.alone.heads import SHARE_FLOOR, fit_heads
from pixelcluster.segmenting.alone.hierarchy import region_statistics
from pixelcluster.segmenting.alone.pixel_field import label_probabilities, map_labels


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
