"""What a clustering found, and the files it is written to."""

from __future__ import annotations

import csv
import re
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
_SHEET = re.compile(r"cluster_\d{2,}\.png")


@dataclass(frozen=True)
class Clustering:
    """What a run found.

    Attributes:
        ids: one name per image.
        clusters: (N,) int64.
        probabilities: (N, K) float32, given this fit: they do not include the doubt which clusters there are.
            Most round to 1, those of wrong images too; `margins` tells the doubtful ones apart.
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
        """(N,) nats: how uncertain each image's cluster is, given this fit."""
        p = self.probabilities
        entropy: NDArray[np.float32] = -(p * np.log(np.maximum(p, 1e-12))).sum(1)
        return entropy

    @property
    def margins(self) -> NDArray[np.float32]:
        """(N,) nats, see `log_margins`."""
        return log_margins(self.probabilities)


def log_margins(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log p of the best cluster minus that of the second best, (N,) nats, from probabilities (N, K).

    Where the best rounds to 1 the second best still has all its digits; beyond about 100 nats it is 0, too.
    """
    least = np.finfo(np.float32).smallest_subnormal
    logs = np.sort(np.log(np.maximum(probabilities, least).astype(np.float64)), axis=1)
    second = logs[:, -2] if logs.shape[1] > 1 else np.log(least)
    margins: NDArray[np.float32] = (logs[:, -1] - second).astype(np.float32)
    return margins


def write_results(
    found: Clustering, images: Tensor, estimator: ImageCluster, output: Path, *, overwrite: bool
) -> None:
    """Write the assignments as CSV and npz, a sheet for each cluster, and generated images.

    Sheets of clusters that an earlier run in this folder had, and this one has not, are deleted.
    """
    from pixelcluster.cluster.sheets import cluster_sheet, shared_grid

    sheets = make_folder(output / SHEETS)
    best, entropy, margins = found.probabilities.max(1), found.entropy, found.margins
    with (
        atomic_write(output / ASSIGNMENTS, overwrite=overwrite) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["id", "cluster", "probability", "entropy", "margin"])
        for name, cluster, *numbers in zip(found.ids, found.clusters, best, entropy, margins, strict=True):
            writer.writerow([name, int(cluster), *(f"{number:.6f}" for number in numbers)])
    with atomic_write(output / ARRAYS, overwrite=overwrite) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            id=np.array(found.ids),
            cluster=found.clusters,
            probability=found.probabilities,
            entropy=entropy,
            margin=margins,
            latent=found.latents,
        )
    typicality = -np.square(found.latents).sum(1)
    outdated = {*sheet_files(output)}
    for cluster in range(found.probabilities.shape[1]):
        sheet = cluster_sheet(images, found.probabilities, typicality, cluster)
        if sheet is not None:
            path = sheets / f"cluster_{cluster:02d}.png"
            _save(sheet, path)
            outdated.discard(path)
    for path in outdated:
        path.unlink()
    grid = shared_grid(estimator.model_, 10, rows="z", columns="y", seed=estimator.seed)
    _save(grid, output / GENERATED)


def sheet_files(output: Path) -> list[Path]:
    """Return the sheets of clusters that are in a folder of results."""
    sheets = output / SHEETS
    return [path for path in (sheets.iterdir() if sheets.is_dir() else ()) if _SHEET.fullmatch(path.name)]


def _save(picture: Image.Image, path: Path) -> None:
    with atomic_write(path, overwrite=True) as temporary:
        picture.save(temporary, "PNG")
