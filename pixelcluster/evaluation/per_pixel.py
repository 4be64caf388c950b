"""Per-pixel accuracy: fit and score on the same images; labels are ignore mask and score, no more.

Source: Ji et al., Invariant Information Clustering, ICCV 2019, section 4.3; one global one-to-one matching
over all scored pixels. The last state counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelcluster import clock
from pixelcluster.arguments import Mode
from pixelcluster.baselines.per_pixel.kmeans import PixelKMeans
from pixelcluster.config import RunConfig
from pixelcluster.data.labelled import IGNORE, LabelledImage, LabelledSet, limit_item
from pixelcluster.device import choose_device
from pixelcluster.metrics.matching import Confusion
from pixelcluster.segmenting.estimator import PixelCluster
from pixelcluster.segmenting.predict import predict_log_probabilities
from pixelcluster.segmenting.reader import Reader
from pixelcluster.targets.stack import PRETRAINED
from pixelcluster.training.model import TrainedModel

Report = dict[str, object]
Labels = NDArray[np.integer]
Show = Callable[[Mapping[str, object]], None]


@dataclass(frozen=True)
class Evaluation:
    """What a run over seeds gives.

    Attributes:
        result: the figures, for JSON.
        kmeans_rgb: acc, miou, nmi of K-means on raw pixels, means over the seeds.
        maps: label maps (H, W) of the last seed, one an item.
    """

    result: Report
    kmeans_rgb: dict[str, float]
    maps: list[NDArray[np.int32]]


def evaluate(
    items: Sequence[LabelledImage],
    config: RunConfig,
    *,
    n_classes: int,
    seeds: Sequence[int],
    device: str = "auto",
    model: Path | None = None,
    progress: Show | None = None,
    report: Callable[[str], None] | None = None,
) -> Evaluation:
    """Fit and score once a seed, beside K-means on raw pixels with the same seed.

    Args:
        items: images with labels and masks.
        config: the settings; K is the number of classes.
        n_classes: C.
        seeds: at least one.
        device: "auto", "cpu" or "cuda".
        model: see `fit_and_score`.
        progress: see `PixelCluster.fit`.
        report: called with a line after each seed.

    Returns:
        `result` holds acc, miou, nmi (means over the seeds), acc_per_seed, acc_std (population),
        kmeans_rgb_acc, majority_acc (one cluster for all pixels), seconds_per_seed of the fit, n_images,
        stack, config, mode, and acc_exact, acc_fast, acc_even, acc_odd by seed.
    """
    reports, baselines = [], []
    maps: list[NDArray[np.int32]] = []
    for seed in seeds:
        own, maps = fit_and_score(
            items, config, n_classes=n_classes, seed=seed, device=device, model=model, progress=progress
        )
        reports.append(own)
        baselines.append(kmeans_rgb(items, n_classes, seed))
        if report is not None:
            report(
                f"seed {seed}: ACC {own['acc']:.2f} ({own['mode']}), "
                f"K-means on pixels {baselines[-1]['acc']:.2f}, {own['seconds']:.0f} s"
            )
    columns = {key: [own[key] for own in reports] for key in reports[0]}
    accuracies = np.array(columns["acc"], dtype=float)
    base = {key: float(np.mean([own[key] for own in baselines])) for key in baselines[0]}
    result: Report = {
        "acc": float(accuracies.mean()),
        "acc_per_seed": accuracies.tolist(),
        "acc_std": float(accuracies.std()),
        "miou": float(np.mean(np.array(columns["miou"], dtype=float))),
        "nmi": float(np.mean(np.array(columns["nmi"], dtype=float))),
        "kmeans_rgb_acc": base["acc"],
        "majority_acc": majority_share(items, n_classes),
        "seconds_per_seed": columns["seconds"],
        "n_images": len(items),
        "stack": config.targets.stack,
        "config": config.model_dump(mode="json"),
        "mode": columns["mode"][0],
        **{f"{key}_per_seed": columns[key] for key in columns if key.startswith("acc_")},
        "pretrained": is_pretrained(config),
    }
    return Evaluation(result, base, maps)


def is_pretrained(config: RunConfig) -> bool:
    """Return whether weights learned on other images are in a fit."""
    return any(name in config.targets.stack for name in PRETRAINED) or (
        config.student.enabled and config.student.pretrained
    )


def fit_and_score(
    items: Sequence[LabelledImage],
    config: RunConfig,
    *,
    n_classes: int,
    seed: int,
    device: str = "auto",
    model: Path | None = None,
    minutes: float | None = None,
    progress: Show | None = None,
) -> tuple[Report, list[NDArray[np.int32]]]:
    """Fit on the items (or take a model) and score the last state.

    The clustered generator takes RGB, `LabelledImage.rgb`: infrared is left out.

    Args:
        items: images with labels and masks, read at the configuration's `image_side` at most.
        config: the settings; K is the number of classes.
        n_classes: C, ids of labels are 0..C-1.
        seed: of the fit.
        device: "auto", "cpu" or "cuda".
        model: folder of a trained model, which is then scored without fitting.
        minutes: see `PixelCluster.fit`.
        progress: see `PixelCluster.fit`.

    Returns:
        acc, miou, nmi of the configured mode, both modes' acc, that of either half, seconds of the fit,
        seconds_predict of the configured mode; and the label maps (H, W), at the size of the labels.
    """
    started = clock.now()
    if model is None:
        estimator = PixelCluster(n_classes, config=config, seed=seed, device=device)
        working = [working_item(item, config) for item in items]
        estimator.fit(
            [item.rgb for item in working],
            masks=[item.mask for item in working],
            minutes=minutes,
            progress=progress,
        )
    else:
        estimator = PixelCluster.load(model, seed=seed, device=device)
    trained = estimator.model_
    seconds = clock.now() - started
    modes: list[Mode] = ["fast", "exact"] if trained.student is not None else ["exact"]
    maps, seconds_predict = {}, {}
    for mode in modes:
        started = clock.now()
        maps[mode] = [predict_labels(trained, item, mode, seed, device) for item in items]
        seconds_predict[mode] = clock.now() - started
    chosen = trained.config.mode if trained.config.mode in maps else modes[-1]
    scores = {mode: score(maps[mode], items, trained.generator.n_clusters, n_classes) for mode in modes}
    report: Report = {
        **scores[chosen],
        **score_halves(maps[chosen], items, trained.generator.n_clusters, n_classes),
        **{f"acc_{mode}": own["acc"] for mode, own in scores.items()},
        "mode": chosen,
        "seconds": seconds,
        "seconds_predict": seconds_predict[chosen],
    }
    return report, maps[chosen]


def score(
    maps: Sequence[Labels], items: Sequence[LabelledImage], n_clusters: int, n_classes: int
) -> dict[str, float]:
    """Return acc, miou and nmi, percent but for nmi, of label maps under one global matching."""
    confusion = Confusion(n_clusters, n_classes)
    for label_map, item in zip(maps, items, strict=True):
        confusion.update(label_map, item.label)
    return {"acc": 100 * confusion.acc, "miou": 100 * confusion.miou, "nmi": confusion.nmi}


def score_halves(
    maps: Sequence[Labels], items: Sequence[LabelledImage], n_clusters: int, n_classes: int
) -> dict[str, float | None]:
    """Return acc_even and acc_odd: settings were tuned on every second image; None: no label in a half."""
    found: dict[str, float | None] = {}
    for name, half in (("even", slice(0, None, 2)), ("odd", slice(1, None, 2))):
        labelled = any((item.label != IGNORE).any() for item in items[half])
        own = score(maps[half], items[half], n_clusters, n_classes)["acc"] if labelled else None
        found[f"acc_{name}"] = own
    return found


def kmeans_rgb(items: Sequence[LabelledImage], n_classes: int, seed: int) -> dict[str, float]:
    """Return the scores of K-means on raw pixels, the tables' first row, in the same protocol.

    Raw means RGB, and infrared where the images have it.
    """
    baseline = PixelKMeans(n_classes, seed=seed)
    baseline.fit([item.image for item in items], [item.mask for item in items])
    maps = [baseline.predict(item.image, item.mask) for item in items]
    return score(maps, items, n_classes, n_classes)


def majority_share(items: Sequence[LabelledImage], n_classes: int) -> float:
    """Return the percentage of scored pixels in the largest class: the ACC of one cluster for all."""
    counts = sum(np.bincount(item.label[item.label != IGNORE], minlength=n_classes) for item in items)
    return float(100 * np.max(counts) / np.sum(counts))


def select(dataset: LabelledSet, part: str) -> list[LabelledImage]:
    """Return the items of a part: "all", or every second stem ("even" was tuned on, "odd" was not)."""
    indices = range(1 if part == "odd" else 0, len(dataset), 1 if part == "all" else 2)
    return [dataset[index] for index in indices]


def predict_labels(
    trained: TrainedModel, item: LabelledImage, mode: Mode, seed: int, device: str
) -> NDArray[np.int32]:
    """Return the label map (H, W) of an item: log-probabilities grown bilinearly, then the largest.

    Args:
        trained: the model; the item is read at its working size.
        item: its mask says which pixels are no evidence.
        mode: the student alone, or the chains.
        seed: of the chains.
        device: "auto", "cpu" or "cuda".
    """
    seen = working_item(item, trained.config)
    reader = Reader(trained, mode, seed, choose_device(device))
    logs = predict_log_probabilities(reader, seen.rgb, mask=seen.mask)
    height, width = item.label.shape
    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in logs.numpy()]
    labels: NDArray[np.int32] = np.argmax(planes, axis=0).astype(np.int32)
    return labels


def working_item(item: LabelledImage, config: RunConfig) -> LabelledImage:
    """Return the item at the size a model with these settings works at."""
    side = config.targets.image_side
    return item if side is None else limit_item(item, side)
