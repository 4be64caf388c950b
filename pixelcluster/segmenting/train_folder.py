"""A training run from the outside: folder in, model folder out, with a sheet of samples."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from pixelcluster import clock
from pixelcluster.errors import PixelClusterError, PixelClusterWarning, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.label_map import png_note
from pixelcluster.io.metrics_file import AGREEMENT, METRICS, dump_metrics
from pixelcluster.io.model_files import PIXELS
from pixelcluster.io.read import list_images
from pixelcluster.io.write import atomic_write
from pixelcluster.progress import Progress, silent
from pixelcluster.render.grid import contact_sheet
from pixelcluster.resuming.folder import forget_run, holds_end, run_folder
from pixelcluster.stopping import CHECKPOINTS, Interrupted, Keeping

if TYPE_CHECKING:
    from pixelcluster.resuming.snapshots import Snapshots
    from pixelcluster.segmenting.estimator import PixelCluster
    from pixelcluster.segmenting.segmentation import Segmentation

N_SAMPLES = 12
SAMPLES = "samples.png"
_SAMPLE_SECONDS, _SAMPLE_SHARE = 60.0, 0.1
"""The longest that samples are drawn: so many seconds, or this share of a limit the run was given."""


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
        from pixelcluster.resuming.snapshots import Snapshots
        from pixelcluster.segmenting.estimator import PixelCluster
        from pixelcluster.training.distributed import leads

        if leads():
            forget_run(output, _end())
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


def is_finished(output: Path) -> bool:
    """Whether a folder holds the model of the last run in it."""
    return holds_end(output, _end())


def _end() -> tuple[str, str]:
    """Return the files a run ends with."""
    from pixelcluster.training.checkpoint import WEIGHTS  # imports torch

    return PIXELS, WEIGHTS


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
    seconds = min(_SAMPLE_SECONDS, math.inf if minutes is None else 60 * _SAMPLE_SHARE * minutes)
    sheet, agreement = draw_samples(model, images, deadline=clock.now() + seconds, progress=progress)
    with atomic_write(output / SAMPLES, overwrite=True) as temporary:
        sheet.save(temporary, "PNG", pnginfo=png_note("sheet of samples"))
    if agreement is not None:
        history = model.model_.history
        history[-1][AGREEMENT] = agreement
        with atomic_write(output / METRICS, overwrite=True) as temporary:
            temporary.write_text(dump_metrics(history), encoding="utf-8")
    return model


def draw_samples(
    model: PixelCluster,
    images: list[Path],
    *,
    deadline: float = math.inf,
    progress: Progress | None = None,
) -> tuple[Image.Image, float | None]:
    """Segment images spread evenly over the list, lay them out, and compare the student with the chains.

    Args:
        model: fitted.
        images: paths; those that cannot be read are left out.
        deadline: `clock.now()` after which no further image is drawn.
        progress: told how far it is.

    Returns:
        The contact sheet in the model's own mode, with one legend for all; and of all pixels drawn the share
        that both modes give one label, None where there is no student.

    Raises:
        PixelClusterError: none of the images can be read.
    """
    pairs: dict[int, tuple[Image.Image, Image.Image]] = {}
    shares, palette = [], None
    same = total = 0
    show, has_student = progress or silent, model.model_.student is not None
    picks = np.unique(np.linspace(0, len(images) - 1, min(N_SAMPLES, len(images))).round().astype(int))
    for done, i in enumerate([*picks[::2], *picks[1::2]]):  # of the whole list also where time is up
        show({"phase": "drawing samples", "share": done / len(picks)})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PixelClusterWarning)  # fit has already told of it
                result = model.predict(images[i])
        except PixelClusterError:  # and of this
            continue
        picture = Image.fromarray((result.image * 255 + 0.5).astype(np.uint8))
        pairs[i] = picture, result.overlay(0.55, legend=False)
        shares.append(result.shares())
        palette = result.palette
        if has_student:
            same += _n_alike(model, result)
            total += result.label_map.size
        if clock.now() > deadline:
            break
    mean = np.mean(shares, axis=0).tolist() if shares else None
    sheet = contact_sheet([pairs[i] for i in sorted(pairs)], palette=palette, shares=mean)
    return sheet, same / total if total else None


def _n_alike(model: PixelCluster, result: Segmentation) -> int:
    """Return how many pixels of a segmentation have the same label in the other mode."""
    other = model.predict(result.image, mode="exact" if result.info["mode"] == "fast" else "fast")
    return int((other.label_map == result.label_map).sum())
