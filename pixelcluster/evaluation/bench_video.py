"""Benchmark of videos: flicker with and without the dynamic prior, frames a second, memory of the command."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pixelcluster.evaluation.bench_process import run, segment_command
from pixelcluster.evaluation.bench_rows import Options, Row
from pixelcluster.evaluation.flicker import flicker, flicker_along, planted_clip
from pixelcluster.io.video import Frame, Video
from pixelcluster.io.video_write import picture_video
from pixelcluster.metrics.matching import Confusion
from pixelcluster.segmenting.rasters.scene import fit_mixture
from pixelcluster.segmenting.videos.video import label_alone

_CLUSTERS = 4
_NOISES = (16, 24)
_SPEED = 4
_LONGER = 4
_MORE = 1.1
"""Memory of a clip `_LONGER` times as long may be this much larger."""


def video_section(options: Options) -> list[Row]:
    """Labels of a planted clip against the truth; with `full`, memory and time of the command on files."""
    height, width = options.video
    rows = []
    for noise in _NOISES:
        frames, truth = planted_clip(12, height, width, noise=noise, speed=_SPEED)
        pixels = np.concatenate([frame.image[::4, ::4].reshape(-1, 3) for frame in frames])
        scene = fit_mixture(np.divide(pixels, 255, dtype=np.float32), _CLUSTERS)
        for dynamic in (False, True):
            started = time.perf_counter()
            labels = np.stack([frame.labels for frame in label_alone(scene, frames, dynamic=dynamic)])
            seconds = time.perf_counter() - started
            confusion = Confusion(_CLUSTERS, _CLUSTERS)
            confusion.update(labels, truth)
            name = f"{width} x {height}, noise {noise}, {'dynamic prior' if dynamic else 'frame by frame'}"
            rows += [
                Row("video", f"flicker, {name}", flicker(labels, truth), "share"),
                Row(
                    "video",
                    f"flicker along the motion, {name}",
                    flicker_along(labels, truth, _SPEED),
                    "share",
                ),
                Row("video", f"accuracy, {name}", confusion.acc, "share"),
                Row("video", f"frames a second, {name}", len(frames) / seconds, "1/s"),
            ]
    return [*rows, *(_memory(options) if options.full else [])]


def _memory(options: Options) -> list[Row]:
    height, width = options.video
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        for n_frames in (25, 25 * _LONGER):
            clip = Path(folder) / f"clip{n_frames}.mp4"
            frames, _ = planted_clip(n_frames, height, width, speed=1)
            write_clip(clip, frames)
            usage = run([*segment_command(clip, Path(folder) / "out"), "-k", str(_CLUSTERS)], options.threads)
            name = f"{n_frames} frames of {width} x {height}"
            limit = _MORE * rows[0].value if rows else None
            rows.append(Row("video", f"peak memory, {name}", usage.peak / 1e9, "GB", limit))
            rows.append(Row("video", f"whole process, {name}", usage.seconds, "s"))
    return rows


def write_clip(path: Path, frames: list[Frame]) -> None:
    """Write frames, a time unit apart, as MP4 of 25 frames a second."""
    shape, rate = frames[0].image.shape, Fraction(25)
    video = Video(path.name, (shape[0], shape[1]), rate, 1 / rate, len(frames), iter(frames))
    with picture_video(path, path, video) as write:
        for frame in video.frames:
            write(frame.image, frame.time)
