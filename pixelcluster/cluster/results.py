"""What a clustering found, and the files it is written to."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.io.write import atomic_write, make_folder

if TYPE_CHECKING:
    from torch import Tensor

    from pixelcluster.cluster.estimator import ImageCluster

ASSIGNMENTS, ARRAYS, SHEETS, GENERATED = "assignments.csv", "assignments.npz", "sheets", "generated.png"


@dataclass(frozen=True)
class Clustering:
    """What a run found.

    Attributes:
        ids: a name an image.
        clusters: (N,) int64.
        probabilities: (N, K) float32.
        latents: (N, d) float32.
        failures: (path, message) of files left out.
    """

    ids: list[str]
    clusters: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    latents: NDArray[np.float32]
    failures: list[tuple[Path, str]]

    @property
    def entropy(self) -> NDArray[np.float32]:
        """(N,) nats: how uncertain each image's cluster is."""
        p = self.probabilities
        entropy: NDArray[np.float32] = -(p * np.log(np.maximum(p, 1e-12))).sum(1)
        return entropy


def write_results(
    found: Clustering, images: Tensor, estimator: ImageCluster, output: Path, *, overwrite: bool
) -> None:
    """Write the assignments as CSV and npz, a sheet a cluster, and generated images."""
    from pixelcluster.cluster.sheets import cluster_sheet, shared_grid

    sheets = make_folder(output / SHEETS)
    best, entropy = found.probabilities.max(1), found.entropy
    with (
        atomic_write(output / ASSIGNMENTS, overwrite=overwrite) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["id", "cluster", "probability", "entropy"])
        for name, cluster, probability, doubt in zip(found.ids, found.clusters, best, entropy, strict=True):
            writer.writerow([name, int(cluster), f"{probability:.6f}", f"{doubt:.6f}"])
    with atomic_write(output / ARRAYS, overwrite=overwrite) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            id=np.array(found.ids),
            cluster=found.clusters,
            probability=found.probabilities,
            entropy=entropy,
            latent=found.latents,
        )
    typicality = -np.square(found.latents).sum(1)
    for cluster in range(found.probabilities.shape[1]):
        sheet = cluster_sheet(images, found.probabilities, typicality, cluster)
        if sheet is not None:
            _save(sheet, sheets / f"cluster_{cluster:02d}.png")
    grid = shared_grid(estimator.model_, 10, rows="z", columns="y", seed=estimator.seed)
    _save(grid, output / GENERATED)


def _save(picture: Image.Image, path: Path) -> None:
    with atomic_write(path, overwrite=True) as temporary:
        picture.save(temporary, "PNG")
