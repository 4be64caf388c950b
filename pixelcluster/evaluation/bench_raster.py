"""Benchmark of large rasters: peak memory of the command, and whether windows leave seams."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from pixelcluster.evaluation.bench_images import at_full_size, load_or_train
from pixelcluster.evaluation.bench_process import run, segment_command, tile
from pixelcluster.evaluation.bench_rows import Options, Row
from pixelcluster.io.raster import open_raster
from pixelcluster.segmenting.rasters.scene import fit_scene
from pixelcluster.segmenting.rasters.scene_labels import label_windows

_ROWS = 512
_MEMORY_LIMIT = 2 * 2**30 / 1e9
_CLUSTERS = "6"


def raster_section(options: Options) -> list[Row]:
    """Peak memory and time of a large GeoTIFF with and without a model, and seams; nothing without `full`."""
    if not options.full:
        return []
    side = options.raster_side
    with TemporaryDirectory() as name:
        folder = Path(name)
        large, small, model = folder / "large.tif", folder / "small.tif", folder / "model"
        write_scene(large, options.sample, side)
        at_full_size(load_or_train(options)).save(model)
        alone = segment_command(large, folder / "out")
        commands = {
            "no model": [*alone, "-k", _CLUSTERS],
            "model, fast, full size": [*alone, "--model", str(model), "--mode", "fast"],
        }
        rows = []
        for name, command in commands.items():
            usage = run(command, options.threads)
            measure = f"GeoTIFF of {side} x {side}, {name}"
            rows.append(Row("raster", f"peak memory, {measure}", usage.peak / 1e9, "GB", _MEMORY_LIMIT))
            rows.append(Row("raster", f"whole process, {measure}", usage.seconds, "s"))
        small_side = min(side, 1600)
        write_scene(small, options.sample, small_side)
        share = seam_disagreement(small, small_side // 6 * 2)
        measure = f"labels that windows change, {small_side} x {small_side}"
        rows.append(Row("raster", measure, share, "share", 0.01))
    return rows


def write_scene(path: Path, sample: Path, side: int) -> None:
    """Write a GeoTIFF covered with copies of a photograph, brighter to the right, a corner without data."""
    import rasterio
    from rasterio.transform import Affine
    from rasterio.windows import Window

    with Image.open(sample) as image:
        pixels = np.asarray(image.convert("RGB"))
    light = np.linspace(0.6, 1, side)[:, None]
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8", crs="EPSG:32633",
        transform=Affine(0.5, 0, 500_000, 0, -0.5, 5_500_000), nodata=0, tiled=True, blockxsize=512,
        blockysize=512, photometric="rgb", bigtiff="if_safer",
    ) as dataset:  # fmt: skip
        for top in range(0, side, _ROWS):
            n_rows = min(_ROWS, side - top)
            shift = top % pixels.shape[0]
            rows = (tile(np.roll(pixels, -shift, axis=0), n_rows, side) * light).clip(1, 255)
            rows[np.add.outer(np.arange(top, top + n_rows), np.arange(side)) < side // 4] = 0
            window = Window(0, top, side, n_rows)
            dataset.write(np.moveaxis(rows, -1, 0).astype(np.uint8), window=window)


def seam_disagreement(path: Path, side: int) -> float:
    """Share of valid pixels whose label differs between windows of `side` and one window for all."""
    with open_raster(path) as raster:
        scene = fit_scene(raster, int(_CLUSTERS))
        whole = next(label_windows(scene, raster, 2 * max(raster.shape)))
        differ = 0
        for top, left, labels, _, valid in label_windows(scene, raster, side):
            window = whole[2][top : top + side, left : left + side]
            differ += int((labels != window)[valid].sum())
        return differ / max(1, int(whole[4].sum()))
