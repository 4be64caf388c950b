"""Benchmark inside a process: seconds an image with a trained model, and how time grows with the pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.config import RunConfig
from pixelcluster.config_file import parse_config
from pixelcluster.evaluation.bench_process import tile
from pixelcluster.evaluation.bench_rows import Options, Row, median_times
from pixelcluster.segmenting.api import segment
from pixelcluster.segmenting.estimator import PixelCluster

SMALL_MODEL = parse_config(
    {
        "n_clusters": 6,
        "training": {"restarts": 1, "epochs": 2},
        "student": {"steps": 4, "views": 1, "batch_size": 2},
    }
)
"""The default model, barely trained: it answers badly and as fast as any."""

_CROP = 96
_LARGE = 1_000_000
"""Pixels from which one repeat is enough."""


@dataclass(frozen=True)
class Growth:
    """How seconds t grow with pixels n.

    Attributes:
        exponent: slope of log t against log n over the upper half of the sizes.
        seconds_per_megapixel: slope b of t = a + b n over all sizes.
        r_squared: of that line.
    """

    exponent: float
    seconds_per_megapixel: float
    r_squared: float


def fast_section(options: Options) -> list[Row]:
    """Seconds an image of a trained model after loading, the student alone and the chains."""
    height, width = options.photo
    photo = _photo(options)
    model = load_or_train(options)
    times = median_times(
        options.repeats,
        {
            "fast": lambda: model.predict(photo, mode="fast"),
            "exact": lambda: model.predict(photo, mode="exact"),
        },
    )
    side = model.model_.config.targets.image_side
    note = f"works at {'full size' if side is None else f'{side} px'}, {model.model_.config.targets.stack}"
    return [
        Row("fast", f"predict, fast, {width} x {height}", times["fast"], "s", 0.2, note),
        Row("fast", f"predict, exact, {width} x {height}", times["exact"], "s", note=note),
    ]


def scaling_section(options: Options) -> list[Row]:
    """Seconds against pixels: without a model, and with one that works at full size, in tiles."""
    trained = at_full_size(load_or_train(options))
    with Image.open(options.sample) as sample:
        pixels = np.asarray(sample.convert("RGB"))
    calls: dict[str, Callable[[NDArray[np.uint8]], object]] = {
        "no model": segment,
        "model, fast, full size": lambda image: trained.predict(image, mode="fast"),
    }
    rows = []
    for name, call in calls.items():
        seconds = []
        for side in options.sides:
            image = tile(pixels, side, side)
            large = side * side > _LARGE
            repeats = 1 if large else min(options.repeats, 3)
            own = partial(call, image)
            seconds.append(median_times(repeats, {"own": own}, warm_up=not large)["own"])
            rows.append(Row("scaling", f"{name}, {side} x {side}", seconds[-1], "s"))
        growth = fit_growth([side**2 for side in options.sides], seconds)
        note = f"t = a + b n: {growth.seconds_per_megapixel:.2f} s a megapixel, R^2 {growth.r_squared:.4f}"
        rows.append(Row("scaling", f"{name}, exponent of the upper half", growth.exponent, "", 1.1, note))
    return rows


def fit_growth(pixels: list[int], seconds: list[float]) -> Growth:
    """Fit a power to the upper half of the sizes and a line to all of them, by least squares.

    Args:
        pixels: of each image, rising.
        seconds: of each image.
    """
    n, t = np.array(pixels, dtype=float), np.array(seconds)
    upper = slice(min(len(n) // 2, len(n) - 2), None)
    exponent = np.polyfit(np.log(n[upper]), np.log(t[upper]), 1)[0]
    slope, offset = np.polyfit(n, t, 1)
    spread = float(np.square(t - t.mean()).sum())
    residual = float(np.square(t - offset - slope * n).sum())
    return Growth(float(exponent), float(slope) * 1e6, 1 - residual / spread if spread else 1.0)


def load_or_train(options: Options, config: RunConfig = SMALL_MODEL) -> PixelCluster:
    """Return the model that was given, or a small one, in either case as it is read from disk."""
    if options.model is not None:
        return PixelCluster.load(options.model)
    photo = np.asarray(_photo(options))
    corners = [photo[:_CROP, :_CROP], photo[:_CROP, -_CROP:], photo[-_CROP:, :_CROP], photo[-_CROP:, -_CROP:]]
    with TemporaryDirectory() as folder:
        PixelCluster(config=config).fit(corners).save(Path(folder) / "model")
        return PixelCluster.load(Path(folder) / "model")


def at_full_size(trained: PixelCluster) -> PixelCluster:
    """Return the model, changed to read images at full size, in tiles, whatever it was trained at."""
    config = trained.model_.config
    native = config.model_copy(update={"targets": config.targets.model_copy(update={"image_side": None})})
    trained.model_ = replace(trained.model_, config=native)
    return trained


def _photo(options: Options) -> Image.Image:
    height, width = options.photo
    with Image.open(options.sample) as sample:
        photo: Image.Image = sample.convert("RGB").resize((width, height))
        return photo
