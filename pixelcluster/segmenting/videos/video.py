"""A video: labelled frame by frame under the dynamic prior, written by one writer, memory flat.

Without a model one mixture (`scene`) is fitted to pixels of frames spread over the clip, so that ids agree
from end to end. Either way a frame's prior is what the frame before leaves to it (`model.dynamic`): the
marginals of its labels, moved along the optical flow, and, in the chains of a model, its latent field.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelcluster.errors import PixelClusterWarning
from pixelcluster.io.read import read_image
from pixelcluster.io.video import Frame, Video
from pixelcluster.io.video_write import Write, label_video, picture_video
from pixelcluster.io.windows import Float
from pixelcluster.io.write import atomic_set
from pixelcluster.render.overlay import overlay
from pixelcluster.render.palette import categorical
from pixelcluster.segmenting.alone.pixel_field import Labels
from pixelcluster.segmenting.rasters.scene import Scene, count_clusters, fit_mixture, log_evidence
from pixelcluster.segmenting.rasters.scene_labels import MARGIN, label_window, margined_windows
from pixelcluster.segmenting.rasters.tally import Tally
from pixelcluster.segmenting.segmentation import ClusterRow
from pixelcluster.segmenting.videos.following import Trail, Trails

if TYPE_CHECKING:
    from pixelcluster.segmenting.reader import Reader

_SAMPLED_FRAMES, _SAMPLED_PIXELS = 32, 40_000
_WINDOW = 1024  # pixels; even
_THIN = 4  # pixels a row and column, one of which tells how many labels stay


@dataclass(frozen=True)
class LabelledFrame:
    """A frame: picture (H, W, 3) uint8, ids (H, W), and time in units of the video's time base."""

    image: NDArray[np.uint8]
    labels: Labels
    time: int


@dataclass(frozen=True)
class VideoLabels:
    """What a method says of a video: cluster names, how many frames it has (0: not known), and those."""

    names: tuple[str, ...]
    n_frames: int
    frames: Iterator[LabelledFrame]


def fit_clip(video: Video, n_clusters: int | None, *, seed: int) -> tuple[Scene, int]:
    """Fit one mixture to frames spread over a video.

    Args:
        video: open; its frames are gone through.
        n_clusters: this many; None: chosen. A clip that shows fewer colours warns and gives those.
        seed: same seed, same result.

    Returns:
        The mixture, clusters in order of decreasing share, and the number of frames.
    """
    kept: list[Float] = []
    every, n_frames = 1, 0
    step = max(1, round((video.shape[0] * video.shape[1] / _SAMPLED_PIXELS) ** 0.5))
    for frame in video.frames:
        if n_frames % every == 0:
            kept.append(read_image(frame.image[::step, ::step]))
        n_frames += 1
        if len(kept) > _SAMPLED_FRAMES:
            kept, every = kept[::2], 2 * every
    if n_clusters is None:
        chosen = [kept[i * (len(kept) - 1) // 3] for i in range(4)]
        mosaic = np.concatenate([np.concatenate(chosen[:2], 1), np.concatenate(chosen[2:], 1)])
        wanted = count_clusters(mosaic if len(kept) > 1 else kept[0])
    else:
        wanted = n_clusters
    scene = fit_mixture(np.concatenate([picture.reshape(-1, 3) for picture in kept]), wanted, seed=seed)
    if n_clusters is not None and scene.n_clusters < n_clusters:
        warnings.warn(
            f"asked for {n_clusters} clusters, but a sample of the video has {scene.n_clusters} colours",
            PixelClusterWarning,
            stacklevel=2,
        )
    return scene, n_frames


def label_alone(scene: Scene, frames: Iterable[Frame], *, dynamic: bool = True) -> Iterator[LabelledFrame]:
    """Label frames under a mixture of all of them.

    Args:
        scene: fitted to the video.
        frames: in the order they are shown.
        dynamic: whether a frame's prior knows the frame before.
    """
    trail, base = Trail(), scene.proportions[:, None, None]
    for frame in frames:
        image = read_image(frame.image)
        thinned = torch.from_numpy(np.ascontiguousarray(scene.project(image[::_THIN, ::_THIN])))
        likelihood = log_evidence(scene, thinned) - base.log()
        history = trail.lead(frame.image, base, likelihood, thin=_THIN) if dynamic else None
        labels, marginals = _label_frame(scene, image, history)
        trail.leave(frame.image, marginals)
        yield LabelledFrame(frame.image, labels, frame.time)


def _label_frame(scene: Scene, image: Float, history: Tensor | None) -> tuple[Labels, Tensor]:
    """Return labels (H, W) and their marginals (K, H, W), window by window."""
    height, width = image.shape[:2]
    labels = np.empty((height, width), np.int32)
    marginals = torch.empty(scene.n_clusters, height, width)
    for top, left, (rows, columns), inner in margined_windows(height, width, _WINDOW, MARGIN):
        part = image[rows, columns]
        own = torch.zeros(scene.n_clusters, *part.shape[:2])
        before = None if history is None else history[:, rows, columns]
        valid = np.ones(part.shape[:2], bool)
        window = label_window(scene, part, valid, history=before, marginals=own)[inner]
        down, across = slice(top, top + window.shape[0]), slice(left, left + window.shape[1])
        labels[down, across], marginals[:, down, across] = window, own[:, inner[0], inner[1]]
    return labels, marginals


def label_with_model(
    reader: Reader, frames: Iterable[Frame], *, dynamic: bool = True
) -> Iterator[LabelledFrame]:
    """Ask a trained model frame by frame.

    Args:
        reader: a model, and how it is asked; the student's answers are filtered.
        frames: in the order they are shown.
        dynamic: whether a frame's prior knows the frame before.
    """
    from pixelcluster.segmenting.predict import label_image

    trails: Trails | None = {} if dynamic else None
    for frame in frames:
        image = read_image(frame.image)
        labels, _ = label_image(reader, image, trails=trails)
        yield LabelledFrame(frame.image, labels, frame.time)


def write_video_outputs(
    video: Video,
    labels: VideoLabels,
    files: dict[str, Path],
    *,
    overwrite: bool,
    look: Callable[[Float, Labels, NDArray[np.uint8]], None] | None = None,
    share_done: Callable[[float], None] = lambda share: None,
) -> list[ClusterRow]:
    """Label every frame and write what is wanted, all of it or nothing.

    Args:
        video: open.
        labels: of its frames.
        files: by role: "labels" (Matroska) and, where wanted, "overlay" (MP4).
        overwrite: replace existing files.
        look: called with the first picture (H, W, 3) in [0, 1], its ids (H, W), and the colours of the ids.
        share_done: called with the share of the frames that is done, from 0 to 1.

    Returns:
        One row a cluster; pixels and shares are of all frames.
    """
    names = labels.names
    palette, tally = categorical(len(names)), Tally(len(names))
    with atomic_set(list(files.values()), overwrite=overwrite) as temporaries:
        temporary = dict(zip(files, temporaries, strict=True))
        label = label_video(temporary["labels"], files["labels"], video, palette, names)
        picture: AbstractContextManager[Write | None] = nullcontext()
        if "overlay" in files:
            picture = picture_video(temporary["overlay"], files["overlay"], video)
        with label as write_labels, picture as write_picture:
            for number, frame in enumerate(labels.frames):
                image = read_image(frame.image)
                write_labels(frame.labels, frame.time)
                if write_picture is not None:
                    write_picture(np.asarray(overlay(image, frame.labels, palette)), frame.time)
                tally.add(frame.labels.ravel(), image.reshape(-1, 3))
                if look is not None and number == 0:
                    look(image, frame.labels, palette)
                if labels.n_frames:
                    share_done(min(1.0, (number + 1) / labels.n_frames))
    return tally.rows(names)
