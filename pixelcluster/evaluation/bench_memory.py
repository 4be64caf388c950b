"""Benchmark of the memory that a large image takes: the command without a model, and with one, in tiles."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from pixelcluster.evaluation.bench_images import at_full_size, load_or_train
from pixelcluster.evaluation.bench_process import run, segment_command, tile
from pixelcluster.evaluation.bench_rows import Options, Row


def memory_section(options: Options) -> list[Row]:
    """Peak memory and time of `pixelcluster segment` on a large image; nothing without `full`."""
    if not options.full:
        return []
    side = options.large_side
    with TemporaryDirectory() as name:
        folder = Path(name)
        large, model = folder / "large.png", folder / "model"
        with Image.open(options.sample) as sample:
            pixels = tile(np.asarray(sample.convert("RGB")), side, side)
        Image.fromarray(pixels).save(large, compress_level=1)
        del pixels
        at_full_size(load_or_train(options)).save(model)
        alone = segment_command(large, folder / "out")
        commands = {
            "no model": alone,
            "model, fast, full size": [*alone, "--model", str(model), "--mode", "fast"],
        }
        rows = []
        for name, command in commands.items():
            usage = run(command, options.threads)
            measure, note = f"{side} x {side}, {name}", f"{usage.peak / side**2:.0f} bytes a pixel"
            rows.append(Row("memory", f"peak memory, {measure}", usage.peak / 1e9, "GB", note=note))
            rows.append(Row("memory", f"whole process, {measure}", usage.seconds, "s"))
    return rows
