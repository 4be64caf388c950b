"""The image-level protocol: fit on the training images, infer the test images with the fitted model.

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, section 5.2; ACC under one
one-to-one matching of clusters and classes over the test split. Labels are the score, no more; the last state
counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from pixelcluster import clock
from pixelcluster.baselines.registry import METHODS, load_method
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.config_file import load_settings
from pixelcluster.data.splits import Images, ImageSet
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.published import OURS
from pixelcluster.metrics.matching import Confusion

Report = dict[str, Any]
Labels = NDArray[np.integer]
Start = Literal["graph", "network", "random"]

_RIVALS = {name.removeprefix("image_level/"): name for name in METHODS if name.startswith("image_level/")}
METHOD_NAMES = (OURS, *_RIVALS)


class FittedMethod(Protocol):
    """What is scored: `predict`, and where the method has them other readings, a history and settings.

    `extra_predictions(images) -> {name: labels}` are scored as `acc_<name>`; of `history_`, the objective by
    step, start and end are reported.
    """

    def predict(self, images: Images) -> Labels:
        """Return the clusters (N,) of images (N, H, W, C) uint8."""


Fit = Callable[[Images], FittedMethod]


def choose_method(
    name: str,
    n_clusters: int,
    *,
    seed: int,
    device: str = "auto",
    minutes: float | None = None,
    config: Path | None = None,
    start: Start | None = None,
    labels: Labels | None = None,
) -> Fit:
    """Return a function that fits a method to images.

    Args:
        name: one of `METHOD_NAMES`.
        n_clusters: K.
        seed: of the fit.
        device: "auto", "cpu" or "cuda".
        minutes: time limit of the fit; None: the method's own.
        config: YAML file of `cluster.settings.ImageSettings`, for the clustered generator.
        start: of the clustered generator, instead of that of its settings.
        labels: of the training images for the clustered generator, -1 where unknown (semi-supervised).

    Raises:
        PixelClusterError: an unknown name, settings for a method without any, or settings that are wrong.
    """
    if name not in METHOD_NAMES:
        raise PixelClusterError(f"unknown method {name!r}; choose from {', '.join(METHOD_NAMES)}")
    if name == OURS:
        from pixelcluster.cluster.estimator import ImageCluster

        settings = ImageSettings() if config is None else load_settings(ImageSettings, config)
        if start is not None:
            settings = settings.model_copy(update={"start": start})
        model = ImageCluster(n_clusters, settings=settings, seed=seed, device=device)
        return lambda images: model.fit(images, labels=labels, minutes=minutes)
    if config is not None or start is not None or labels is not None:
        raise PixelClusterError(
            f"{name} has neither settings, starts nor known labels; leave them out or use {OURS}"
        )
    limit: dict[str, Any] = {} if minutes is None else {"minutes": minutes}
    fit: Fit = load_method(_RIVALS[name])(n_clusters, seed=seed, device=device, **limit).fit
    return fit


def known_labels(data: ImageSet, per_class: int, seed: int) -> Labels:
    """Return labels of the training images, -1 but for `per_class` drawn from each class.

    Raises:
        PixelClusterError: the training images have no labels, or a class has too few.
    """
    if data.train_labels is None:
        raise PixelClusterError(f"{data.name} has no training labels to give away")
    known = np.full(len(data.train_labels), -1, dtype=np.int64)
    rng = np.random.default_rng(seed)
    for index, name in enumerate(data.class_names):
        members = np.flatnonzero(data.train_labels == index)
        if len(members) < per_class:
            raise PixelClusterError(f"class {name} has {len(members)} images, {per_class} labels wanted")
        known[rng.choice(members, per_class, replace=False)] = index
    return known


def limit_training(images: Images, limit: int | None) -> Images:
    """Return at most `limit` training images, evenly spaced, as files may be sorted by class; None: all."""
    if limit is None or limit >= len(images):
        return images
    rows = np.linspace(0, len(images) - 1, limit).round().astype(np.int64)
    limited: Images = images[rows]
    return limited


def fit_and_score(
    fit: Fit,
    data: ImageSet,
    n_clusters: int,
    *,
    limit: int | None = None,
    fitted: Callable[[FittedMethod], None] | None = None,
) -> Report:
    """Fit on the training images and score the last state on the test images.

    Args:
        fit: see `choose_method`.
        data: images and test labels.
        n_clusters: K of the method.
        limit: at most so many training images.
        fitted: called with the method after it was scored.

    Returns:
        acc (percent), nmi, ari, seconds of the fit, seconds_predict; acc_<name> of every extra reading;
        objective_start and objective_end, means over the first and last tenth of the steps, where the method
        has a history; config, the method's settings, empty where it has none.

    Raises:
        PixelClusterError: the test images have no labels.
    """
    if data.test_labels is None:
        raise PixelClusterError(f"{data.name} has no test labels; nothing can be scored")
    started = clock.now()
    method = fit(limit_training(data.train, limit))
    learned = clock.now()
    labels = method.predict(data.test)
    predicted = clock.now()
    report = score(labels, data.test_labels, n_clusters, len(data.class_names))
    report |= {"seconds": learned - started, "seconds_predict": predicted - learned}
    if hasattr(method, "extra_predictions"):
        for name, own in method.extra_predictions(data.test).items():
            report[f"acc_{name}"] = score(own, data.test_labels, n_clusters, len(data.class_names))["acc"]
    history: Sequence[float] = getattr(method, "history_", ())
    if len(history) and all(isinstance(value, float) for value in history):
        tenth = max(1, len(history) // 10)
        report["objective_start"] = float(np.mean(history[:tenth]))
        report["objective_end"] = float(np.mean(history[-tenth:]))
    report["config"] = _settings_of(method)
    if fitted is not None:
        fitted(method)
    return report


def score(labels: Labels, truth: Labels, n_clusters: int, n_classes: int) -> Report:
    """Return acc (percent), nmi and ari of clusters (N,) against classes (N,)."""
    confusion = Confusion(n_clusters, n_classes)
    confusion.update(labels, truth)
    return {"acc": 100 * confusion.acc, "nmi": confusion.nmi, "ari": confusion.ari}


def summarise(reports: Sequence[Mapping[str, Any]]) -> Report:
    """Return means over seeds: acc, nmi, ari and every acc_<name>; and each seed's figures.

    Args:
        reports: of `fit_and_score`, one a seed.
    """
    columns = {key: [report[key] for report in reports] for key in reports[0]}
    accuracies = [key for key in columns if key.startswith("acc")]
    return {
        **{key: float(np.mean(columns[key])) for key in (*accuracies, "nmi", "ari")},
        **{f"{key}_std": float(np.std(columns[key])) for key in accuracies},
        **{
            f"{key}_per_seed": columns[key]
            for key in columns
            if key in accuracies or key.startswith(("seconds", "objective"))
        },
    }


def _settings_of(method: FittedMethod) -> dict[str, Any]:
    """Return the settings of a method as JSON values."""
    settings = getattr(method, "settings", None)
    if isinstance(settings, BaseModel):
        return settings.model_dump(mode="json")
    return asdict(settings) if is_dataclass(settings) and not isinstance(settings, type) else {}
