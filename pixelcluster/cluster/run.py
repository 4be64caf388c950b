"""A clustering from the outside: images in, a folder of results out."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.write import atomic_write, check_writable, make_folder

if TYPE_CHECKING:
    from torch import Tensor

    from pixelcluster.cluster.estimator import ImageCluster

Progress = Callable[[Mapping[str, object]], None]
ASSIGNMENTS, ARRAYS, MODEL, SHEETS, GENERATED = (
    "assignments.csv",
    "assignments.npz",
    "model",
    "sheets",
    "generated.png",
)


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


def read_input(source: str, root: Path | None, side: int) -> tuple[Tensor, list[str], list[tuple[Path, str]]]:
    """Return images (N, C, S, S) uint8, their names and what could not be read.

    Args:
        source: a folder or file of images, an npz file, or with `root` the name of a data set (its training
            part).
        root: where the data set is.
        side: S in pixels.

    Raises:
        PixelClusterError: nothing of the kind, or no image.
    """
    from pixelcluster.cluster.images import from_array, from_files

    if root is not None or source == "digits":
        from pixelcluster.data.image_sets import load_image_set

        images = load_image_set(source, root).train
    elif source.lower().endswith(".npz"):
        images = _of_npz(Path(source))
    else:
        tensor, paths, failures = from_files([Path(source)], side)
        return tensor, [str(path) for path in paths], failures
    return from_array(images, side), [str(index) for index in range(len(images))], []


def cluster_images(
    source: str,
    output: Path,
    *,
    root: Path | None = None,
    n_clusters: int | Literal["auto"] = 10,
    model: Path | None = None,
    labels: Path | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Clustering:
    """Cluster images, or infer them with a model, and write all results.

    Args:
        source: see `read_input`.
        output: folder for assignments.csv, assignments.npz, sheets/, generated.png and, after a fit, model/.
        root: see `read_input`.
        n_clusters: K, or "auto".
        model: model folder to infer with instead of fitting.
        labels: CSV of "id,label": images whose cluster is known.
        minutes: of learning, at most.
        seed: of everything random.
        device: "auto", "cpu" or "cuda".
        overwrite: replace existing results.
        progress: see `ImageCluster.fit`.

    Raises:
        PixelClusterError: no images, fewer than clusters, labels that name no image, results that exist.
    """
    from pixelcluster.cluster.estimator import ImageCluster
    from pixelcluster.cluster.settings import ImageSettings

    make_folder(output)
    for name in (ASSIGNMENTS, ARRAYS, GENERATED):
        check_writable(output / name, overwrite=overwrite)
    estimator = ImageCluster(n_clusters, seed=seed, device=device)
    if model is not None:
        estimator = ImageCluster.load(model, seed=seed, device=device)
    side = (estimator.settings or ImageSettings()).side
    images, ids, failures = read_input(source, root, side)
    pixels = images.permute(0, 2, 3, 1).numpy()
    if model is None:
        known = None if labels is None else read_labels(labels, ids)
        estimator.fit(pixels, labels=known, minutes=minutes, progress=progress)
        fitted = estimator.model_
        found = Clustering(
            ids, estimator.labels_, fitted.probabilities.numpy(), fitted.latents.numpy(), failures
        )
        estimator.save(output / MODEL)
    else:
        probabilities, latents = estimator.predict_parts(pixels)
        found = Clustering(ids, probabilities.argmax(1), probabilities, latents, failures)
    write_results(found, images, estimator, output, overwrite=overwrite)
    return found


def write_results(
    found: Clustering, images: Tensor, estimator: ImageCluster, output: Path, *, overwrite: bool
) -> None:
    """Write the assignments as CSV and npz, a sheet a cluster, and generated images."""
    from pixelcluster.cluster.pictures import cluster_sheet, shared_grid

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


def read_labels(path: Path, ids: list[str]) -> NDArray[np.int64]:
    """Return known labels (N,), -1 where unknown, from a CSV file of "id,label" with or without a header.

    Raises:
        PixelClusterError: an unreadable file, a line that is no pair, an id that no image has.
    """
    places = {name: index for index, name in enumerate(ids)}
    places |= {Path(name).name: index for name, index in places.items() if re.search(r"[\\/]", name)}
    known = np.full(len(ids), -1, dtype=np.int64)
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise PixelClusterError(
            f"{show_path(path)}: cannot be read; wanted a CSV file of id,label"
        ) from error
    for number, row in enumerate(rows, 1):
        if not row or (number == 1 and row[-1].strip() == "label"):
            continue
        if len(row) != 2 or not re.fullmatch(r"\s*\d+\s*", row[1]):
            raise PixelClusterError(f"{show_path(path)}: line {number} is {','.join(row)!r}; wanted id,label")
        if row[0] not in places:
            raise PixelClusterError(
                f"{show_path(path)}: line {number} names {row[0]!r}, but no image has that id; "
                f"ids look like {ids[0]!r}"
            )
        known[places[row[0]]] = int(row[1])
    return known


def _of_npz(path: Path) -> NDArray[np.uint8]:
    """Return the first array of images in an npz file."""
    try:
        # Opened here: numpy leaves the file open where it is no archive.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = [archive[name] for name in archive.files]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise PixelClusterError(f"{show_path(path)}: is no npz file ({reason})") from error
    images = [array for array in arrays if array.ndim in (3, 4)]
    if not images:
        raise PixelClusterError(
            f"{show_path(path)}: holds no images; wanted an array (N, H, W) or (N, H, W, C)"
        )
    chosen: NDArray[np.uint8] = images[0]
    return chosen


def _save(picture: Image.Image, path: Path) -> None:
    with atomic_write(path, overwrite=True) as temporary:
        picture.save(temporary, "PNG")
