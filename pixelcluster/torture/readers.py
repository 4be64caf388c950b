"""Whole files of every kind that is read, the reader of each, and how it is damaged."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from pixelcluster.errors import PixelClusterError
from pixelcluster.torture.mutate import mutate, mutate_header, mutate_text
from pixelcluster.torture.piecewise import (
    geotiff_samples,
    read_raster,
    read_strokes,
    read_video,
    stroke_samples,
    video_samples,
)
from pixelcluster.torture.samples import SETTINGS, picture, write_model

IMAGES = ("png", "jpeg", "tiff", "webp", "bmp", "gif", "ppm")
KINDS = (
    *IMAGES,
    *(["geotiff", "raster-scribbles"] if find_spec("rasterio") else []),
    *(["video"] if find_spec("av") else []),
    *("npz", "scribbles", "safetensors", "checkpoint", "yaml"),
)

Read = Callable[[bytes], None]


def prepare(kind: str, folder: Path) -> tuple[list[bytes], Read, Callable[..., bytes]]:
    """Return whole files of a kind, the reader, and the damage."""
    if kind in IMAGES:
        return image_samples(kind), lambda content: _read_image(folder / "x", content), mutate
    if kind == "geotiff":
        return geotiff_samples(folder), lambda content: read_raster(folder / "x.tif", content), mutate
    if kind == "raster-scribbles":
        return (
            stroke_samples(folder),
            lambda content: read_strokes(folder, content),
            lambda content, other, random: mutate_text(content.decode(), random),
        )
    if kind == "video":
        return video_samples(folder), lambda content: read_video(folder / "x.mp4", content), mutate
    if kind == "scribbles":
        return (
            _scribble_samples(),
            lambda content: _read_scribbles(folder / "x.json", content),
            lambda content, other, random: mutate_text(content.decode(), random),
        )
    if kind == "npz":
        return _npz_samples(), lambda content: _read_npz(folder / "x.npz", content), mutate
    if kind == "yaml":
        texts = [SETTINGS, SETTINGS.replace("{", "\n  ").replace("}", "").replace(", ", "\n  ")]
        return (
            [text.encode() for text in texts],
            lambda content: _read_settings(folder / "x.yaml", content),
            lambda content, other, random: mutate_text(content.decode(), random),
        )
    if kind == "safetensors":
        model = write_model(folder / "model")
        whole = (model / "model.safetensors").read_bytes()
        return [whole], lambda content: _load(model, content), _damage_tensors
    return _prepare_checkpoint(folder)


def image_samples(kind: str) -> list[bytes]:
    """Return small whole images of a format in several of its forms."""
    colour = Image.fromarray(picture(0, 24, 33))
    grey16 = Image.fromarray(picture(1, 16, 16)[..., 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "x" * 60, zip=True)
    packed: list[tuple[Image.Image, dict[str, Any]]] = [
        (colour, {"compression": name}) for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg")
    ]
    alpha, indexed, binary = colour.convert("RGBA"), colour.convert("P"), colour.convert("1")
    forms: dict[str, list[tuple[Image.Image, dict[str, Any]]]] = {
        "png": [(colour, {"pnginfo": note}), (indexed, {}), (grey16, {}), (alpha, {})],
        "jpeg": [(colour, {"exif": exif}), (colour, {"progressive": True}), (colour.convert("CMYK"), {})],
        "tiff": [
            *packed,
            (binary, {"compression": "group4"}),
            (grey16, {}),
        ],
        "webp": [(colour, {}), (colour, {"lossless": True}), (alpha, {"exif": exif})],
        "bmp": [(colour, {}), (indexed, {}), (binary, {})],
        "gif": [(indexed, {})],
        "ppm": [(colour, {}), (colour.convert("L"), {}), (binary, {})],
    }
    samples = []
    for image, options in forms[kind]:
        buffer = io.BytesIO()
        image.save(buffer, kind.upper(), **options)
        samples.append(buffer.getvalue())
    return samples


def _npz_samples() -> list[bytes]:
    samples = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(
            buffer, label_map=np.arange(48, dtype=np.int32).reshape(6, 8), palette=np.zeros((3, 3), np.uint8)
        )
        samples.append(buffer.getvalue())
    return samples


def _read_image(path: Path, content: bytes) -> None:
    from pixelcluster.io.describe import describe
    from pixelcluster.io.label_map import read_label_file
    from pixelcluster.io.read import read_image

    path.write_bytes(content)
    with suppress(PixelClusterError):
        read_label_file(path)
    with suppress(PixelClusterError):
        describe(path)
    image = read_image(path)
    if image.dtype != np.float32 or image.ndim != 3 or not 0 <= float(image.min()) <= float(image.max()) <= 1:
        raise AssertionError(f"an image of {image.dtype} {image.shape} came out")


def _read_npz(path: Path, content: bytes) -> None:
    from pixelcluster.io.describe import describe
    from pixelcluster.io.label_map import read_label_file

    path.write_bytes(content)
    with suppress(PixelClusterError):
        describe(path)
    read_label_file(path)


def _scribble_samples() -> list[bytes]:
    square = [[2.0, 2.0], [9.0, 2.0], [9.0, 9.0], [2.0, 9.0]]
    labelme = {
        "imageHeight": 24,
        "imageWidth": 33,
        "shapes": [
            {"label": "a", "shape_type": "polygon", "points": square},
            {"label": "b", "shape_type": "circle", "points": square[:2]},
            {"label": "c", "shape_type": "linestrip", "points": square},
            {"label": "2", "shape_type": "point", "points": square[:1]},
        ],
    }
    features = [
        {"properties": {"class": "a"}, "geometry": {"type": "Polygon", "coordinates": [square]}},
        {"properties": {"cluster": 3}, "geometry": {"type": "MultiPoint", "coordinates": square}},
    ]
    geojson = {"type": "FeatureCollection", "features": features}
    return [json.dumps(document, indent=1).encode() for document in (labelme, geojson)]


def _read_scribbles(path: Path, content: bytes) -> None:
    from pixelcluster.io.scribbles import read_scribbles

    path.write_bytes(content)
    marks, _ = read_scribbles(path, (24, 33))
    if marks.shape != (24, 33) or marks.max() < 0:
        raise AssertionError(f"marks of {marks.shape} came out")


def _read_settings(path: Path, content: bytes) -> None:
    from pixelcluster.config_file import load_config

    path.write_bytes(content)
    load_config(path)


def _damage_tensors(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    return mutate_header(content, random) if random.random() < 0.5 else mutate(content, other, random)


def _load(model: Path, content: bytes) -> None:
    """Load a model and use it: what loads must also run."""
    import torch

    from pixelcluster.io.describe import describe
    from pixelcluster.segmenting.predict import label_image
    from pixelcluster.segmenting.reader import Reader
    from pixelcluster.training.checkpoint import WEIGHTS, load_model

    (model / WEIGHTS).write_bytes(content)
    with suppress(PixelClusterError):
        describe(model)
    loaded = load_model(model, torch.device("cpu"))
    small = np.divide(picture(9, 16, 16), 255, dtype=np.float32)
    labels, _ = label_image(Reader(loaded, "exact", 0, torch.device("cpu")), small)
    if not 0 <= labels.min() <= labels.max() < 3:
        raise AssertionError("labels outside 0 to 2 came out")


def _prepare_checkpoint(folder: Path) -> tuple[list[bytes], Read, Callable[..., bytes]]:
    """Return a checkpoint in the middle of a run, and going on from it for a step."""
    import torch
    import yaml

    from pixelcluster.config_file import parse_config
    from pixelcluster.resuming.snapshots import Snapshots, find
    from pixelcluster.resuming.state_file import State, read_state
    from pixelcluster.training.run import fit_model

    config = parse_config(yaml.safe_load(SETTINGS))
    images = [np.divide(picture(seed, 16, 16), 255, dtype=np.float32) for seed in range(3)]

    class Enough(Exception):
        """Two steps are."""

    class Stopping(Snapshots):
        def after_step(self, step: int, describe: Callable[[], State]) -> None:
            self.steps = getattr(self, "steps", 0) + 1
            if self.steps == 2:
                self.save(step, describe())
                raise Enough

    def run(where: Path, state: State | None) -> None:
        snapshots = Stopping(where, every=1e9, caller={}, state=state)
        with suppress(Enough):
            fit_model(images, config, device=torch.device("cpu"), snapshots=snapshots)

    run(folder / "first", None)
    whole = find(folder / "first")[0].read_bytes()

    def go_on(content: bytes) -> None:
        path = folder / "damaged.safetensors"
        path.write_bytes(content)
        run(folder / "second", read_state(path))

    return [whole], go_on, _damage_tensors
