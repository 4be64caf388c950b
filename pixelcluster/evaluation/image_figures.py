"""The figures of the clustered generator paper on whole images, as pictures and numbers.

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, figures 2, 3 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pixelcluster.cluster.estimator import ImageCluster
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.cluster.sheets import cluster_sheet, shared_grid
from pixelcluster.data.splits import ImageSet
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.image_level import limit_training, score
from pixelcluster.io.write import atomic_write, make_folder

Report = dict[str, Any]
Tell = Callable[[str], None]


def accuracy_by_steps(
    data: ImageSet,
    steps: Sequence[int],
    seeds: Sequence[int],
    settings: ImageSettings,
    *,
    limit: int | None = None,
    tell: Tell,
) -> list[Report]:
    """Return ACC of the generator alone by Langevin steps in learning and reading (figure 3).

    Args:
        data: with test labels.
        steps: numbers of Langevin steps.
        seeds: one fit each.
        settings: all others.
        limit: at most so many training images.
        tell: called with a line a fit.

    Returns:
        steps, seed and acc (percent, test images) of each fit.

    Raises:
        PixelClusterError: the test images have no labels.
    """
    if data.test_labels is None:
        raise PixelClusterError(f"{data.name} has no test labels; nothing can be scored")
    n_clusters = len(data.class_names)
    reports = []
    for count in steps:
        for seed in seeds:
            own = settings.model_copy(
                update={"langevin_steps": count, "inference_steps": count, "student_epochs": 0}
            )
            model = ImageCluster(n_clusters, settings=own, seed=seed).fit(limit_training(data.train, limit))
            labels = model.predict(data.test, mode="generator")
            acc = score(labels, data.test_labels, n_clusters, n_clusters)["acc"]
            reports.append({"steps": count, "seed": seed, "acc": acc})
            tell(f"{count} steps, seed {seed}: ACC {acc:.2f}")
    return reports


def merges_and_splits(
    data: ImageSet,
    counts: Sequence[int],
    settings: ImageSettings,
    output: Path,
    *,
    seed: int,
    limit: int | None = None,
    tell: Tell,
) -> list[Report]:
    """Fit with other numbers of clusters than classes and draw a sheet a cluster (figure 5).

    Args:
        data: with training labels, which only name what a cluster holds.
        counts: numbers of clusters.
        settings: all others.
        output: folder for `K/cluster_<k>.png` and `K/generated.png`.
        seed: of the fits.
        limit: at most so many training images.
        tell: called with a line a fit.

    Returns:
        n_clusters and, for each cluster, the share of each class in it.
    """
    reports = []
    images = limit_training(data.train, limit)
    labels = limit_training(_labels_of(data), limit)
    for count in counts:
        model = ImageCluster(count, settings=settings, seed=seed).fit(images)
        folder = make_folder(output / str(count))
        table = np.zeros((count, len(data.class_names)))
        np.add.at(table, (model.labels_, labels), 1)
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        fitted = model.model_
        tensor = model.tensor(images)
        for cluster in range(count):
            sheet = cluster_sheet(
                tensor, fitted.probabilities.numpy(), -fitted.latents.square().sum(1).numpy(), cluster
            )
            if sheet is not None:
                with atomic_write(folder / f"cluster_{cluster:02d}.png", overwrite=True) as temporary:
                    sheet.save(temporary, "PNG")
        with atomic_write(folder / "generated.png", overwrite=True) as temporary:
            shared_grid(fitted, 10, rows="z", columns="y", seed=seed).save(temporary, "PNG")
        reports.append(
            {"n_clusters": count, "shares": shares.round(4).tolist(), "sizes": table.sum(1).tolist()}
        )
        mixed = [
            " + ".join(data.class_names[index] for index in np.flatnonzero(row > 0.15)) for row in shares
        ]
        tell(f"K = {count}: " + ", ".join(mixed))
    return reports


def _labels_of(data: ImageSet) -> Any:
    """Return the training labels."""
    if data.train_labels is None:
        raise PixelClusterError(f"{data.name} has no training labels to name clusters by")
    return data.train_labels
