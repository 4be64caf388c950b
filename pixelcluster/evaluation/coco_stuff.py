"""The COCO-Stuff protocol of IIC: fit and score on the same crops; labels are ignore mask and score, no more.

Source: Ji et al., Invariant Information Clustering, ICCV 2019, section 4.3; one global one-to-one matching
over all scored pixels. The last state counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pixelcluster.baselines.kmeans import RgbKMeans
from pixelcluster.config import RunConfig
from pixelcluster.data.coco_stuff import CocoStuff, CocoStuffItem
from pixelcluster.estimator import PixelCluster, choose_device
from pixelcluster.metrics.matching import Confusion
from pixelcluster.segmenting.predict import Mode, predict_log_probabilities
from pixelcluster.training.trained import TrainedModel

Report = dict[str, object]
Labels = NDArray[np.integer]


def fit_and_score(
    items: Sequence[CocoStuffItem],
    config: RunConfig,
    *,
    n_classes: int,
    seed: int,
    device: str = "auto",
    model: Path | None = None,
    progress: Callable[[Mapping[str, object]], None] | None = None,
) -> tuple[Report, list[NDArray[np.int32]]]:
    """Fit on the items (or take a model) and score the last state.

    Args:
        items: crops with labels and masks.
        config: the settings; K is the number of classes.
        n_classes: 3 or 15.
        seed: of the fit.
        device: "auto", "cpu" or "cuda".
        model: folder of a trained model, which is then scored without fitting.
        progress: see `PixelCluster.fit`.

    Returns:
        acc, miou, nmi of the configured mode, both modes' acc, seconds of the fit; and the label maps
        (128, 128).
    """
    started = time.perf_counter()
    if model is None:
        estimator = PixelCluster(n_classes, config=config, seed=seed, device=device)
        estimator.fit([item.image for item in items], masks=[item.mask for item in items], progress=progress)
    else:
        estimator = PixelCluster.load(model, seed=seed, device=device)
    trained = estimator.model_
    seconds = time.perf_counter() - started
    modes: list[Mode] = ["fast", "exact"] if trained.student is not None else ["exact"]
    maps = {mode: [predict_labels(trained, item, mode, seed, device) for item in items] for mode in modes}
    chosen = trained.config.mode if trained.config.mode in maps else modes[-1]
    scores = {mode: score(maps[mode], items, trained.generator.n_clusters, n_classes) for mode in modes}
    report: Report = {**scores[chosen], "mode": chosen, "seconds": seconds}
    report |= {f"acc_{mode}": own["acc"] for mode, own in scores.items()}
    # Settings were tuned on every second image: the same fit scored on either half.
    for name, half in (("even", slice(0, None, 2)), ("odd", slice(1, None, 2))):
        own = (
            score(maps[chosen][half], items[half], trained.generator.n_clusters, n_classes)
            if items[half]
            else None
        )
        report[f"acc_{name}"] = None if own is None else own["acc"]
    return report, maps[chosen]


def score(
    maps: Sequence[Labels], items: Sequence[CocoStuffItem], n_clusters: int, n_classes: int
) -> dict[str, float]:
    """Return acc, miou and nmi, percent but for nmi, of label maps under one global matching."""
    confusion = Confusion(n_clusters, n_classes)
    for label_map, item in zip(maps, items, strict=True):
        confusion.update(label_map, item.label)
    return {"acc": 100 * confusion.acc, "miou": 100 * confusion.miou, "nmi": confusion.nmi}


def kmeans_rgb(items: Sequence[CocoStuffItem], n_classes: int, seed: int) -> dict[str, float]:
    """Return the scores of K-means on RGB pixels, the tables' first row, in the same protocol."""
    baseline = RgbKMeans(n_classes, seed=seed)
    baseline.fit([item.image for item in items], [item.mask for item in items])
    return score([baseline.predict(item.image) for item in items], items, n_classes, n_classes)


def select(dataset: CocoStuff, part: str) -> list[CocoStuffItem]:
    """Return the items of a part: "all", or every second stem ("even" was tuned on, "odd" was not)."""
    indices = range(1 if part == "odd" else 0, len(dataset), 1 if part == "all" else 2)
    return [dataset[index] for index in indices]


def predict_labels(
    trained: TrainedModel, item: CocoStuffItem, mode: Mode, seed: int, device: str
) -> NDArray[np.int32]:
    """Return the label map (128, 128) of a crop: log-probabilities grown bilinearly, then the largest.

    Args:
        trained: the model.
        item: its mask says which pixels are no evidence.
        mode: the student alone, or the chains.
        seed: of the chains.
        device: "auto", "cpu" or "cuda".
    """
    logs = predict_log_probabilities(
        trained, item.image, mode=mode, seed=seed, device=choose_device(device), mask=item.mask
    )
    height, width = item.label.shape
    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in logs.numpy()]
    labels: NDArray[np.int32] = np.argmax(planes, axis=0).astype(np.int32)
    return labels
