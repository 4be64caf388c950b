from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pixelcluster.data.labelled import LabelledImage, limit_item
from pixelcluster.evaluation.per_pixel import (
    evaluate,
    fit_and_score,
    kmeans_rgb,
    majority_share,
    score,
    select,
)
from pixelcluster.evaluation.scoreboard_run import fit_per_pixel
from tests.synthetic import settings


@pytest.fixture(scope="module")
def items() -> list[LabelledImage]:
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
        made.append(LabelledImage(f"{index:03}", image, label, label != 255))
    return made


CONFIG = settings(targets={"stack": "rgb"}, training={"epochs": 3}, sampler={"inference_rounds": 2})


def test_the_report_beside_kmeans(items) -> None:
    states: list[object] = []
    report, maps = fit_and_score(items, CONFIG, n_classes=3, seed=0, progress=states.append)
    assert report["acc"] > 95
    assert report["acc"] == report["acc_exact"]
    assert report["mode"] == "exact"
    assert set(report) == {
        *("acc", "miou", "nmi", "mode", "seconds", "seconds_predict", "acc_exact", "acc_even", "acc_odd")
    }
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


def test_the_largest_class_is_what_one_cluster_reaches(items) -> None:
    pixels = np.concatenate([item.label[item.mask] for item in items])
    wanted = 100 * np.bincount(pixels).max() / len(pixels)
    assert majority_share(items, 3) == pytest.approx(wanted)
    constant = [np.zeros((128, 128), dtype=np.int32) for _ in items]
    assert majority_share(items, 3) == pytest.approx(score(constant, items, 3, 3)["acc"])


def test_a_run_over_seeds(items) -> None:
    lines: list[str] = []
    found = evaluate(items, CONFIG, n_classes=3, seeds=[0, 1], report=lines.append)
    singles = [fit_and_score(items, CONFIG, n_classes=3, seed=seed) for seed in (0, 1)]
    assert found.result["acc_per_seed"] == [report["acc"] for report, _ in singles]
    assert found.result["acc"] == pytest.approx(np.mean(found.result["acc_per_seed"]))
    assert found.result["kmeans_rgb_acc"] == found.kmeans_rgb["acc"]
    assert len(found.result["acc_odd_per_seed"]) == len(lines) == 2
    assert found.result["majority_acc"] == majority_share(items, 3)
    for own, last in zip(found.maps, singles[1][1], strict=True):
        np.testing.assert_array_equal(own, last)


def test_large_images_of_four_channels_are_scored_at_their_own_size(items) -> None:
    """The model works at `image_side`, sees RGB, and its map has the size of the label."""
    infrared = np.ones((128, 128, 1), np.float32)
    aerial = [replace(item, image=np.concatenate([item.image, infrared], 2)) for item in items]
    targets = CONFIG.targets.model_copy(update={"image_side": 64})
    small = CONFIG.model_copy(update={"targets": targets})
    report, maps = fit_and_score(aerial, small, n_classes=3, seed=0)
    assert [own.shape for own in maps] == [(128, 128)] * 4
    assert report["acc"] > 90
    shrunk = [limit_item(item, 64) for item in items]
    same = fit_and_score(shrunk, small, n_classes=3, seed=0)[0]
    assert abs(report["acc"] - same["acc"]) < 5


def test_kmeans_and_the_rivals_see_infrared() -> None:
    rng = np.random.default_rng(0)
    items = []
    for index in range(3):
        label = np.repeat(rng.permutation(2), 32)[:, None].repeat(64, 1).astype(np.uint8)
        image = rng.uniform(0.4, 0.6, (64, 64, 4)).astype(np.float32)
        image[..., 3] = 0.2 + 0.6 * label
        items.append(LabelledImage(str(index), image, label, np.ones(label.shape, bool)))
    assert kmeans_rgb(items, 2, 0)["acc"] == 100
    report, maps = fit_per_pixel("kmeans", items, n_classes=2, seed=0, minutes=1, device="cpu")
    assert report["acc"] == report["acc_even"] == report["acc_odd"] == 100
    assert [own.shape for own in maps] == [(64, 64)] * 3
    blind, _ = fit_per_pixel("sift", items, n_classes=2, seed=0, minutes=1, device="cpu")
    assert blind["acc"] < 80


def test_rivals_are_told_the_masks_in_the_fit_and_in_the_prediction(items, monkeypatch) -> None:
    """As the clustered generator is."""
    told = []

    class Rival:
        def fit(self, images, masks):
            told.extend(masks)

        def predict(self, image, mask):
            told.append(mask)
            return np.zeros(image.shape[:2], np.int32)

    monkeypatch.setattr(
        "pixelcluster.evaluation.scoreboard_run.load_method", lambda name: lambda *given, **options: Rival()
    )
    report, _ = fit_per_pixel("kmeans", items, n_classes=3, seed=0, minutes=1, device="cpu")
    assert [mask is item.mask for mask, item in zip(told, [*items, *items], strict=True)] == [True] * 8
    assert report["acc"] == pytest.approx(majority_share(items, 3))


def test_unlabelled_images_are_learned_from_and_not_scored(items) -> None:
    hidden = [replace(item, label=np.full_like(item.label, 255)) for item in items]
    mixed = [items[0], hidden[1], items[2], hidden[3]]
    report, maps = fit_and_score(mixed, CONFIG, n_classes=3, seed=0)
    _, wanted = fit_and_score(items, CONFIG, n_classes=3, seed=0)
    for own, other in zip(maps, wanted, strict=True):
        np.testing.assert_array_equal(own, other)
    assert report["acc_odd"] is None
    assert report["acc"] == report["acc_even"]
