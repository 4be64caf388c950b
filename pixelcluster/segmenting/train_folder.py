"""A training run from the outside: folder in, model folder out, with a sheet of samples."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from pixelcluster.errors import PixelClusterError, PixelClusterWarning, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.label_map import png_note
from pixelcluster.io.read import list_images
from pixelcluster.io.write import atomic_write
from pixelcluster.progress import Progress
from pixelcluster.render.grid import contact_sheet
from pixelcluster.resuming.folder import run_folder
from pixelcluster.stopping import CHECKPOINTS, Interrupted, Keeping

if TYPE_CHECKING:
    from pixelcluster.resuming.snapshots import Snapshots
    from pixelcluster.segmenting.estimator import PixelCluster

N_SAMPLES = 12
SAMPLES = "samples.png"


@dataclass(frozen=True)
class Training:
    """What to train; each None leaves the choice to the configuration."""

    n_clusters: int | Literal["auto"] | None = None
    stack: str | None = None
    config: Path | None = None
    minutes: float | None = None
    seed: int = 0
    device: str = "auto"
    max_pixels: int = MAX_PIXELS


def train_folder(
    folder: Path,
    output: Path,
    training: Training,
    *,
    overwrite: bool = False,
    keeping: Keeping | None = None,
    progress: Progress | None = None,
) -> PixelCluster:
    """Fit a model on a folder of images, save it, and draw what it does.

    Args:
        folder: images of any sizes, searched recursively.
        output: model folder to write; it gets safetensors, config.yaml, metrics.jsonl and samples.png, and
            checkpoints until the model is there.
        training: what to train.
        overwrite: allow an output folder that holds files already.
        keeping: how often to save, and the signals to stop on.
        progress: see `pixelcluster.progress`.

    Returns:
        The fitted model; its `failures_` are the files left out.

    Raises:
        PixelClusterError: no images, or an output folder that is not empty.
        Interrupted: a signal came; the message says what was saved.
    """
    if os.path.exists(output) and not os.path.isdir(output):
        raise PixelClusterError(
            f"{show_path(output)}: is a file, but a folder is wanted for the model; choose another -o"
        )
    if os.path.isdir(output) and any(output.iterdir()) and not overwrite:
        begun = os.path.isdir(output / CHECKPOINTS)
        way_out = ", or go on with the run in it with --resume" if begun else ""
        raise PixelClusterError(
            f"{show_path(output)}: folder is not empty; allow replacing the model with --overwrite{way_out}"
        )
    images = _images(folder)
    keeping = keeping or Keeping()
    with run_folder(output, keeping.stop):  # a read-only disk is found out before the hours of training
        from pixelcluster.resuming.snapshots import Snapshots, remove
        from pixelcluster.segmenting.estimator import PixelCluster
        from pixelcluster.training.distributed import leads

        if leads():
            remove(output / CHECKPOINTS)
        model = PixelCluster(
            n_clusters=training.n_clusters,
            stack=training.stack,
            config=training.config,
            seed=training.seed,
            device=training.device,
            max_pixels=training.max_pixels,
        )
        caller = {
            "folder": str(folder.absolute()),
            "device": training.device,
            "max_pixels": training.max_pixels,
        }
        every = 60 * keeping.minutes
        snapshots = Snapshots(output / CHECKPOINTS, every=every, caller=caller, stop=keeping.stop)
        return _finish(model, folder, images, output, training.minutes, snapshots, progress)


def resume_folder(
    output: Path,
    *,
    folder: Path | None = None,
    minutes: float | None = None,
    keeping: Keeping | None = None,
    progress: Progress | None = None,
) -> PixelCluster:
    """Go on with a run that was stopped, bit for bit as if it had not been (same machine, same threads).

    Args:
        output: model folder of the run.
        folder: where the images are, if they have moved.
        minutes: time limit from now on; None: what was left of the run's own.
        keeping: how often to save, and on what to stop.
        progress: see `train_folder`.

    Returns:
        The fitted model; its `failures_` are the files left out.

    Raises:
        PixelClusterError: no checkpoint, or other images than the run was begun with.
        Interrupted: a signal came; the run is saved.
    """
    from pixelcluster.config_file import parse_config
    from pixelcluster.resuming.identity import of_checkpoint
    from pixelcluster.resuming.snapshots import Snapshots, read_newest
    from pixelcluster.segmenting.estimator import PixelCluster
    from pixelcluster.training.distributed import of_lead

    state = of_lead(lambda: read_newest(output / CHECKPOINTS))
    keeping = keeping or Keeping()
    with of_checkpoint():
        caller = state["caller"]
        folder = Path(caller["folder"]) if folder is None else folder
        config = parse_config(state["config"], "the checkpoint")
        model = PixelCluster(
            config=config,
            seed=int(state["seed"]),
            device=str(caller["device"]),
            max_pixels=int(caller["max_pixels"]),
        )
    caller = {**caller, "folder": str(folder.absolute())}
    snapshots = Snapshots(
        output / CHECKPOINTS, every=60 * keeping.minutes, caller=caller, state=state, stop=keeping.stop
    )
    return _finish(model, folder, _images(folder), output, minutes, snapshots, progress)


def _images(folder: Path) -> list[Path]:
    """Return the images of a folder."""
    if not os.path.isdir(folder):
        raise PixelClusterError(f"{show_path(folder)}: is no folder; training wants a folder of images")
    return list_images([folder])


def _finish(
    model: PixelCluster,
    folder: Path,
    images: list[Path],
    output: Path,
    minutes: float | None,
    snapshots: Snapshots,
    progress: Progress | None,
) -> PixelCluster:
    """Fit, write the model, delete the checkpoints, draw samples."""
    from pixelcluster.resuming.snapshots import remove
    from pixelcluster.training.distributed import leads

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "left out", PixelClusterWarning)  # the caller has `failures_`
        model.fit(folder, minutes=minutes, progress=progress, snapshots=snapshots)
    if not leads():
        return model
    model.save(output)
    remove(snapshots.folder)
    if snapshots.stop is not None:
        snapshots.stop.message = f"stopped; the model is in {show_path(output)}"
        snapshots.stop.deferred = False
        if snapshots.stop.received is not None:
            raise Interrupted(snapshots.stop.received, snapshots.stop.message)
    with atomic_write(output / SAMPLES, overwrite=True) as temporary:
        sample_sheet(model, images).save(temporary, "PNG", pnginfo=png_note("sheet of samples"))
    return model


def sample_sheet(model: PixelCluster, images: list[Path]) -> Image.Image:
    """Segment images spread evenly over the list and lay them out.

    Args:
        model: fitted.
        images: paths; those that cannot be read are left out.

    Returns:
        The contact sheet with one legend for all.

    Raises:
        PixelClusterError: none of the images can be read.
    """
    pairs, shares, palette = [], [], None
    picks = np.unique(np.linspace(0, len(images) - 1, min(N_SAMPLES, len(images))).round().astype(int))
    for i in picks:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PixelClusterWarning)  # fit has already told of it
                result = model.predict(images[i], mode="fast")
        except PixelClusterError:  # and of this
            continue
        picture = Image.fromarray((result.image * 255 + 0.5).astype(np.uint8))
        pairs.append((picture, result.overlay(0.55, legend=False)))
        shares.append(result.shares())
        palette = result.palette
    return contact_sheet(pairs, palette=palette, shares=np.mean(shares, axis=0).tolist() if shares else None)
