"""A clustering from the outside: images in, a folder of results out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pixelcluster.cluster.results import (
    ARRAYS,
    ASSIGNMENTS,
    GENERATED,
    Clustering,
    sheet_files,
    write_results,
)
from pixelcluster.cluster.source import Given, read_input, read_labels
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.model_files import IMAGES
from pixelcluster.io.write import check_writable
from pixelcluster.progress import Progress
from pixelcluster.resuming.folder import forget_run, holds_end, run_folder
from pixelcluster.stopping import CHECKPOINTS, Keeping

if TYPE_CHECKING:
    from pixelcluster.cluster.estimator import ImageCluster
    from pixelcluster.resuming.state_file import State

MODEL = "model"


def cluster_images(
    source: str,
    output: Path,
    *,
    root: Path | None = None,
    n_clusters: int | Literal["auto"] | None = None,
    config: Path | None = None,
    model: Path | None = None,
    labels: Path | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    max_pixels: int = MAX_PIXELS,
    keeping: Keeping | None = None,
    progress: Progress | None = None,
) -> Clustering:
    """Cluster images, or infer them with a model, and write all results.

    Args:
        source: see `Given`.
        output: folder for assignments.csv, assignments.npz, sheets/, generated.png and, after a fit, model/;
            during a fit it holds its checkpoints.
        root: see `Given`.
        n_clusters: K, or "auto"; None leaves it to the file of settings, and without one to "auto".
        config: YAML file of `ImageSettings`.
        model: model folder to infer with instead of fitting.
        labels: see `Given`.
        minutes: of learning, at most.
        seed: of everything random.
        device: "auto", "cpu" or "cuda".
        overwrite: replace existing results, and a run that was begun.
        max_pixels: see `Given`.
        keeping: how often to save a fit, and on what to stop.
        progress: see `ImageCluster.fit`.

    Raises:
        PixelClusterError: no images, fewer than clusters, labels that name no image, results that exist, or a
            run that was begun.
        Interrupted: a signal came; the fit is saved.
    """
    from pixelcluster.cluster.estimator import ImageCluster
    from pixelcluster.cluster.settings import ImageSettings
    from pixelcluster.config_file import load_settings
    from pixelcluster.resuming.snapshots import find, remove

    settings = None if config is None else load_settings(ImageSettings, config)
    if n_clusters is None:
        stated = settings is not None and "n_clusters" in settings.model_fields_set
        n_clusters = settings.n_clusters if settings is not None and stated else "auto"
    keeping = keeping or Keeping()
    if find(output / CHECKPOINTS) and not overwrite:
        raise PixelClusterError(
            f"{show_path(output)}: holds a run that was begun; allow replacing it with --overwrite, or go on "
            "with --resume"
        )
    with run_folder(output, keeping.stop):
        for path in (output / ASSIGNMENTS, output / ARRAYS, output / GENERATED, *sheet_files(output)):
            check_writable(path, overwrite=overwrite)
        if model is None:
            return _fit(
                ImageCluster(n_clusters, settings=settings, seed=seed, device=device),
                Given(source, root, labels, max_pixels=max_pixels),
                output,
                minutes,
                keeping,
                progress,
                overwrite=overwrite,
            )
        estimator = ImageCluster.load(model, seed=seed, device=device)
        images, ids, failures = read_input(
            Given(source, root, max_pixels=max_pixels), estimator.model_.settings.side
        )
        remove(output / CHECKPOINTS)
        probabilities, latents = estimator.predict_parts(images.permute(0, 2, 3, 1).numpy())
        found = Clustering(ids, probabilities.argmax(1), probabilities, latents, failures)
        if keeping.stop is not None:
            keeping.stop.message = "stopped before all results were written; run it again with --overwrite"
        write_results(found, images, estimator, output, overwrite=overwrite)
        return found


def resume_images(
    output: Path,
    *,
    minutes: float | None = None,
    keeping: Keeping | None = None,
    progress: Progress | None = None,
) -> Clustering:
    """Go on with a fit that was stopped, bit for bit as if it had not been (same machine, same threads).

    Args:
        output: folder of the run.
        minutes: time limit of learning from now on; None: what was left of the run's own.
        keeping: how often to save, and on what to stop.
        progress: see `ImageCluster.fit`.

    Raises:
        PixelClusterError: no checkpoint, or other images or labels than the run was begun with.
        Interrupted: a signal came; the fit is saved.
    """
    from pixelcluster.cluster.estimator import ImageCluster
    from pixelcluster.cluster.settings import ImageSettings
    from pixelcluster.resuming.identity import of_checkpoint
    from pixelcluster.resuming.snapshots import read_newest

    state = read_newest(output / CHECKPOINTS)
    with of_checkpoint():
        caller = state["caller"]
        given = Given.of_json(caller["given"])
        settings = ImageSettings.model_validate(state["config"])
        estimator = ImageCluster(
            settings.n_clusters, settings=settings, seed=int(state["seed"]), device=str(caller["device"])
        )
    return _fit(
        estimator, given, output, minutes, keeping or Keeping(), progress, overwrite=True, state=state
    )


def is_finished(output: Path) -> bool:
    """Whether a folder holds the results and the model of the last run in it."""
    return holds_end(output, _end())


def _end() -> tuple[str, ...]:
    """Return the files a run ends with."""
    from pixelcluster.cluster.storage import WEIGHTS  # imports torch

    return ASSIGNMENTS, f"{MODEL}/{IMAGES}", f"{MODEL}/{WEIGHTS}"


def _fit(
    estimator: ImageCluster,
    given: Given,
    output: Path,
    minutes: float | None,
    keeping: Keeping,
    progress: Progress | None,
    *,
    overwrite: bool,
    state: State | None = None,
) -> Clustering:
    """Fit, write model and results, delete the checkpoints."""
    from pixelcluster.cluster.settings import ImageSettings
    from pixelcluster.resuming.snapshots import Snapshots, remove

    images, ids, failures = read_input(given, (estimator.settings or ImageSettings()).side)
    known = None if given.labels is None else read_labels(given.found(given.labels), ids)
    if state is None:
        forget_run(output, _end())
    snapshots = Snapshots(
        output / CHECKPOINTS,
        every=60 * keeping.minutes,
        caller={"given": given.to_json(), "device": estimator.device},
        state=state,
        stop=keeping.stop,
        command="cluster",
    )
    pixels = images.permute(0, 2, 3, 1).numpy()
    estimator.fit(pixels, labels=known, minutes=minutes, progress=progress, snapshots=snapshots)
    model = estimator.model_
    found = Clustering(ids, estimator.labels_, model.probabilities.numpy(), model.latents.numpy(), failures)
    estimator.save(output / MODEL)
    write_results(found, images, estimator, output, overwrite=overwrite)
    if keeping.stop is not None:
        keeping.stop.message = f"stopped; the results are in {show_path(output)}"
    remove(snapshots.folder)
    return found
