from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pixelcluster.data.coco_stuff import CocoStuffItem
from pixelcluster.evaluation.coco_stuff import fit_and_score, kmeans_rgb, score, select
from tests.synthetic import settings


@pytest.fixture(scope="module")
def items() -> list[CocoStuffItem]:
    """Three colours with noise; a band without labels, of a colour of its own."""
    made = []
    for index in range(4):
        rng = np.random.default_rng(index)
        label = np.repeat(rng.permutation(3), [40, 40, 48])[:, None].repeat(128, 1).astype(np.uint8)
        colours = np.array([(0.3, 0.5, 0.9), (0.1, 0.5, 0.2), (0.6, 0.5, 0.4)])
        image = colours[label] + rng.normal(0, 0.08, (128, 128, 3))
        label[:, :16] = 255
        image[:, :16] = 1.0
        image = image.clip(0, 1).astype(np.float32)
        made.append(CocoStuffItem(f"{index:03}", image, label, label != 255))
    return made


CONFIG = settings(targets={"stack": "rgb"}, training={"epochs": 3}, sampler={"inference_rounds": 2})


def test_the_report_beside_kmeans(items) -> None:
    states: list[object] = []
    report, maps = fit_and_score(items, CONFIG, n_classes=3, seed=0, progress=states.append)
    assert report["acc"] > 95
    assert report["acc"] == report["acc_exact"]
    assert report["mode"] == "exact"
    assert set(report) == {"acc", "miou", "nmi", "mode", "seconds", "acc_exact", "acc_even", "acc_odd"}
    assert [own.shape for own in maps] == [(128, 128)] * 4
    assert states
    baseline = kmeans_rgb(items, 3, 0)
    assert set(baseline) == {"acc", "miou", "nmi"}
    assert baseline["acc"] > 90


def test_label_values_never_reach_training(items) -> None:
    exchanged = []
    for item in items:
        label = item.label.copy()
        label[item.mask] = np.random.default_rng(9).integers(0, 3, int(item.mask.sum()))
        exchanged.append(replace(item, label=label))
    runs = [fit_and_score(own, CONFIG, n_classes=3, seed=1) for own in (items, exchanged)]
    for first, second in zip(runs[0][1], runs[1][1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert runs[1][0]["acc"] < 45 < 95 < runs[0][0]["acc"]


def test_scores_of_known_maps(items) -> None:
    swapped = [np.where(item.mask, (item.label + 1) % 3, 0) for item in items]
    assert score(swapped, items, 3, 3) == pytest.approx({"acc": 100, "miou": 100, "nmi": 1})
    constant = [np.zeros((128, 128), dtype=np.int32) for _ in items]
    pixels = np.concatenate([item.label[item.mask] for item in items])
    wanted = 100 * np.bincount(pixels).max() / len(pixels)
    assert score(constant, items, 3, 3)["acc"] == pytest.approx(wanted)


def test_one_matching_holds_for_all_images(items) -> None:
    """Ids that change their meaning between images must not be forgiven."""
    shifted = [np.where(item.mask, (item.label + index % 2) % 3, 0) for index, item in enumerate(items[:2])]
    assert score(shifted, items[:2], 3, 3)["acc"] < 75


def test_parts_share_no_image_and_miss_none() -> None:
    stems = ["a", "b", "c", "d", "e"]
    even, odd = select(stems, "even"), select(stems, "odd")
    assert (even, odd) == (["a", "c", "e"], ["b", "d"])
    assert select(stems, "all") == stems
