"""What a file or a model folder is, without loading torch."""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS, check_regular_file, is_own, open_header
from pixelcluster.io.label_map import read_label_file, read_member
from pixelcluster.io.metrics_file import AGREEMENT, read_metrics, student_agreement
from pixelcluster.io.model_files import IMAGES, PIXELS
from pixelcluster.io.read import read_image
from pixelcluster.io.tiff_header import is_raster

_LARGEST_HEADER = 100_000_000
_LARGEST_SOFT = 4_000_000_000  # bytes of probabilities


def describe(path: Path) -> dict[str, Any]:
    """Tell what a model folder, a weights file, a label map, probabilities, a raster or an image holds.

    Args:
        path: a folder written by `pixelcluster train`, or a file.

    Returns:
        Ordered facts, JSON-ready; "kind" says which of these it is. Of label maps and images over the cap
        of pixels, and of rasters, only what the header says.

    Raises:
        PixelClusterError: none of these, or damaged.
    """
    if os.path.isdir(path):
        return _describe_model(path)
    check_regular_file(path)
    if path.suffix == ".safetensors":
        return {"kind": "weights", **_describe_weights(path)}
    if path.suffix.lower() == ".npz" and _holds_probabilities(path):
        return _describe_probabilities(path)
    if path.suffix.lower() == ".npz" or _holds_ids(path):
        return _describe_label_map(path)
    if is_raster(path):
        return _describe_raster(path)
    return _describe_image(path)


def _describe_model(folder: Path) -> dict[str, Any]:
    name = show_path(folder)
    weights = sorted(file for file in folder.glob("*.safetensors") if os.path.isfile(file))
    config = next((folder / own for own in (PIXELS, IMAGES) if os.path.isfile(folder / own)), None)
    if not weights or config is None:
        raise PixelClusterError(
            f"{name}: not a model folder ({PIXELS} or {IMAGES} and *.safetensors are wanted); train one first"
        )
    from pixelcluster.io.settings_yaml import read_yaml

    kind = "model" if config.name == PIXELS else "image-level model"
    settings, history = read_yaml(config)[0], read_metrics(folder)
    facts = {"kind": kind, **_summary(settings, history), "config": settings}
    facts["weights"] = {file.name: _describe_weights(file) for file in weights}
    if history:
        facts["last_metrics"] = history[-1]
    return facts


def _summary(settings: object, history: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    """Return what is asked first about a model, as far as its settings and metrics say it."""
    merged, names = _setting(settings, "clusters", "merged"), _setting(settings, "clusters", "names")
    k = _setting(settings, "n_clusters")
    epochs = [entry for entry in history if "objective" in entry]
    facts = {
        "n_clusters": k,
        "in_use": k - len(merged) if merged and isinstance(k, int) and isinstance(merged, Mapping) else k,
        "merged": merged or None,
        "names": names or None,
        "stack": _setting(settings, "targets", "stack"),
        "mode": _setting(settings, "mode"),
        "epochs": len(epochs) or None,
        "objective": epochs[-1]["objective"] if epochs else None,
        AGREEMENT: student_agreement(history),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _setting(settings: object, *path: str) -> Any:
    """Return a value of nested settings, None where there is none."""
    for key in path:
        settings = settings.get(key) if isinstance(settings, Mapping) else None
    return settings


def _describe_weights(path: Path) -> dict[str, Any]:
    """Count the tensors named in a safetensors header: 8 bytes of length, then JSON."""
    name = show_path(path)
    try:
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if not 2 <= length <= min(_LARGEST_HEADER, os.path.getsize(path)):
                raise ValueError("no safetensors header")
            header = json.loads(handle.read(length))
        if not isinstance(header, Mapping):
            raise ValueError("no safetensors header")
        tensors = {key: entry for key, entry in header.items() if key != "__metadata__"}
        parameters = sum(math.prod(map(int, entry["shape"])) for entry in tensors.values())
    except (OSError, ValueError, LookupError, TypeError, RecursionError, OverflowError) as error:
        raise PixelClusterError(
            f"{name}: not a safetensors file ({' '.join(str(error).split())}); train the model again"
        ) from None
    return {"tensors": len(tensors), "parameters": parameters, "bytes": os.path.getsize(path)}


def _holds_ids(path: Path) -> bool:
    """Whether an image is a label map marked as ours, and not too large to be counted."""
    try:
        with open_header(path) as image:
            return (
                is_own(image)
                and image.mode not in ("RGB", "RGBA")
                and not _entropy_scale(image)
                and image.width * image.height <= MAX_PIXELS
            )
    except PixelClusterError:  # the image reader says what is wrong with it
        return False


def _entropy_scale(image: Image.Image) -> float:
    """Return how many nats white is in an entropy map of ours, 0 in any other image."""
    found = re.search(r"^entropy .* 65535 \* ([0-9.]{1,12}) nats$", str(image.info.get("Description", "")))
    return float(found[1]) if found and is_own(image) else 0.0


def _holds_probabilities(path: Path) -> bool:
    """Whether an NPZ is one of `io.soft_maps`: the reader of label maps says what is wrong with any other."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist() == ["probabilities.npy"]
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def _describe_probabilities(path: Path) -> dict[str, Any]:
    wanted = f"floats (K, H, W) of at most {_LARGEST_SOFT // 10**9} GB"
    soft = read_member(
        path, "probabilities", wanted, lambda a: a.ndim == 3 and a.dtype.kind == "f", largest=_LARGEST_SOFT
    )
    assert soft is not None
    means = {i: round(float(layer.mean(dtype=np.float64)), 6) for i, layer in enumerate(soft)}
    return {"kind": "probabilities", "n_clusters": len(soft), **_size(*soft.shape[1:]), "means": means}


def _describe_label_map(path: Path) -> dict[str, Any]:
    labels, _, names, nodata = read_label_file(path)
    found, pixels = np.unique(labels, return_counts=True)  # not bincount: an id may be 2^31 - 1
    valid = max(1, int(pixels[found != nodata].sum()))
    shares = {int(i): round(float(n / valid), 6) for i, n in zip(found, pixels, strict=True) if i != nodata}
    return {
        "kind": "label map",
        "height": labels.shape[0],
        "width": labels.shape[1],
        "n_clusters": len(shares),
        "shares": shares,
        **({"without_data": round(1 - valid / labels.size, 6)} if nodata is not None else {}),
        **({"names": {i: name for i, name in enumerate(names) if name}} if any(names) else {}),
    }


def _describe_raster(path: Path) -> dict[str, Any]:
    from pixelcluster.io.raster import explained, open_geotiff

    problem = f"{show_path(path)}: cannot be read as GeoTIFF"
    with open_geotiff(path) as dataset, explained(problem, "copy or export the file again"):
        return {
            "kind": "raster",
            **_size(dataset.height, dataset.width),
            "bands": dataset.count,
            "type": ", ".join(dict.fromkeys(dataset.dtypes)),
            "crs": str(dataset.crs or "none"),
            "nodata": dataset.nodata,
            "bytes": os.path.getsize(path),
        }


def _describe_image(path: Path) -> dict[str, Any]:
    with open_header(path) as image:
        width, height = image.size
        facts: dict[str, Any] = {"kind": "image", "format": image.format, "mode": image.mode}
        nats = _entropy_scale(image)
    if width * height > MAX_PIXELS:
        return {**facts, **_size(height, width), "bytes": os.path.getsize(path)}
    picture = read_image(path)  # upright, and known to be whole
    if nats:
        facts = {
            "kind": "entropy map",
            "white_is_nats": nats,
            "mean_nats": round(nats * float(picture.mean()), 6),
        }
        return {**facts, **_size(*picture.shape[:2]), "bytes": os.path.getsize(path)}
    mean = [round(float(v), 4) for v in picture.mean((0, 1))]
    return {**facts, **_size(*picture.shape[:2]), "mean_colour": mean, "bytes": os.path.getsize(path)}


def _size(height: int, width: int) -> dict[str, Any]:
    return {"height": height, "width": width, "megapixels": round(height * width / 1e6, 3)}
