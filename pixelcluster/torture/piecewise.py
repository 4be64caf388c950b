"""Whole files of the kinds read piece by piece (rasters, strokes on them, videos), and their readers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pixelcluster.torture.samples import picture

_HEIGHT, _WIDTH = 24, 33


def geotiff_samples(folder: Path) -> list[bytes]:
    """Return small whole GeoTIFFs, in strips and in tiles."""
    import rasterio
    from rasterio.transform import from_origin

    samples = []
    for options in ({}, {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}):
        path = folder / "sample.tif"
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=33,
            height=24,
            count=4,
            dtype="uint16",
            nodata=0,
            crs="EPSG:32632",
            transform=from_origin(5e5, 5e6, 10, 10),
            **options,
        ) as dataset:
            bands = picture(3, 24, 33).transpose(2, 0, 1).astype(np.uint16) * 200
            dataset.write(np.concatenate([bands, bands[:1]]))
        samples.append(path.read_bytes())
    return samples


def read_raster(path: Path, content: bytes) -> None:
    """Read a raster as its segmentation does."""
    from pixelcluster.io.raster import open_raster

    path.write_bytes(content)
    with open_raster(path) as raster:
        values, _ = raster.overview(1_000)
        if not np.isfinite(values).all():
            raise AssertionError("values that are not finite came out")


def stroke_samples(folder: Path) -> list[bytes]:
    """Return GeoJSON on the raster of `geotiff_samples`, in its CRS and in longitude and latitude.

    The raster is left in the folder as scene.tif.
    """
    (folder / "scene.tif").write_bytes(geotiff_samples(folder)[0])
    metres = [[5e5 + 10.0 * x, 5e6 - 10.0 * y] for x, y in ((2, 2), (20, 2), (20, 15), (2, 2))]
    degrees = [[9.0 + 1e-4 * x, 45.153 - 1e-4 * y] for x, y in ((0, 2), (20, 2), (20, 15), (0, 2))]
    samples = []
    for ring in (metres, degrees):
        features = [
            {"properties": {"class": "a"}, "geometry": {"type": "Polygon", "coordinates": [ring]}},
            {"properties": {"cluster": 3}, "geometry": {"type": "MultiLineString", "coordinates": [ring]}},
            {"properties": {"label": "2"}, "geometry": {"type": "Point", "coordinates": ring[1]}},
        ]
        crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
        document = {"type": "FeatureCollection", "features": features}
        samples.append(json.dumps(document | ({"crs": crs} if ring is metres else {}), indent=1).encode())
    return samples


def read_strokes(folder: Path, content: bytes) -> None:
    """Read strokes as the segmentation of a raster does."""
    from pixelcluster.io.raster import open_raster
    from pixelcluster.io.raster_scribbles import open_raster_scribbles

    path = folder / "x.geojson"
    path.write_bytes(content)
    with open_raster(folder / "scene.tif") as raster, open_raster_scribbles(path, raster) as strokes:
        marks = strokes.read(slice(0, _HEIGHT), slice(0, _WIDTH))
    if marks.shape != (_HEIGHT, _WIDTH) or not 0 <= marks.max() <= 255:
        raise AssertionError(f"marks of {marks.shape} up to {marks.max()} came out")


def video_samples(folder: Path) -> list[bytes]:
    """Return small whole videos, one in each container."""
    from fractions import Fraction

    from pixelcluster.io.video import Frame, Video
    from pixelcluster.io.video_write import label_video, picture_video
    from pixelcluster.render.palette import categorical

    path = folder / "sample.bin"
    video = Video("sample", (_HEIGHT, _WIDTH), Fraction(25), Fraction(1, 25), 3, iter(list[Frame]()))
    with label_video(path, path, video, categorical(3), ("", "", "")) as write:
        for time in range(3):
            write(picture(time, _HEIGHT, _WIDTH)[..., 0].astype(np.int32) % 3, time)
    samples = [path.read_bytes()]
    with picture_video(path, path, video) as write:
        for time in range(3):
            write(picture(time, _HEIGHT, _WIDTH), time)
    return [*samples, path.read_bytes()]


def read_video(path: Path, content: bytes) -> None:
    """Read a video as its segmentation does."""
    from pixelcluster.io.video import open_video

    path.write_bytes(content)
    with open_video(path, max_pixels=1_000_000) as video:
        shapes = {frame.image.shape for frame in video.frames}
        if shapes != {(*video.shape, 3)}:
            raise AssertionError(f"frames of {shapes} came out")
