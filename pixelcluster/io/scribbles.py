"""Strokes of known labels: an indexed or grey PNG, Labelme JSON, or GeoJSON in pixel coordinates.

In a PNG 0 is unknown and i is cluster i; cluster 0 is marked in JSON, where a label is an id or a name.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.label_map import read_label_map

Marks = NDArray[np.int32]
Shape = tuple[str, str, NDArray[np.float64]]
"""Label, what to draw ("area", "line" or "points"), points (n, 2) x, y in pixels."""

UNKNOWN = -1
MAX_CLASS = 255
_LARGEST_FILE = 50_000_000
_FARTHEST = 1e6  # pixels
_THICKNESS = 3  # pixels, of lines and points


def read_scribbles(
    path: str | os.PathLike[str],
    shape: tuple[int, int],
    *,
    names: Sequence[str] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> tuple[Marks, tuple[str, ...]]:
    """Read strokes for an image.

    Args:
        path: .json or .geojson, or else an image of ids.
        shape: (H, W) of the image.
        names: of the K clusters of a model, "" for one without; None: labels that are no numbers become new
            names, which take the free ids in order of appearance.
        max_pixels: largest accepted height x width.

    Returns:
        (H, W) ids, `UNKNOWN` (-1) where nothing is marked, and the names by id (() where there are none).

    Raises:
        PixelClusterError: unreadable, of another size, without a mark, or labels that no cluster has.
    """
    name = show_path(path)
    if Path(path).suffix.lower() in (".json", ".geojson"):
        marks, found = _from_json(path, shape, names)
    else:
        read = read_label_map(path, max_pixels=max_pixels)
        if read.shape != shape:
            raise PixelClusterError(_size_message(name, read.shape, shape))
        marks, found = np.where(read > 0, read, UNKNOWN).astype(np.int32), tuple(names or ())
    largest = int(marks.max(initial=UNKNOWN))
    if largest == UNKNOWN:
        raise PixelClusterError(f"{name}: marks no pixel of the image; paint some, in ids from 1")
    _check_id(largest, names, name)
    return marks, found


def _check_id(cluster: int, names: Sequence[str] | None, where: str) -> None:
    limit = MAX_CLASS if names is None else len(names) - 1
    if cluster > limit:
        raise PixelClusterError(f"{where}: marks cluster {cluster}, but ids go from 0 to {limit}")


def _from_json(
    path: str | os.PathLike[str], shape: tuple[int, int], names: Sequence[str] | None
) -> tuple[Marks, tuple[str, ...]]:
    import cv2

    document = _load(path)
    where = show_path(path)
    size = (document.get("imageHeight"), document.get("imageWidth"))
    if None not in size and size != shape:
        raise PixelClusterError(_size_message(where, size, shape))
    try:
        shapes = [*(_labelme(document) if "shapes" in document else _geojson(document))]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())[:120]
        raise PixelClusterError(f"{where}: is neither Labelme nor GeoJSON as expected ({reason})") from None
    for label, _, points in shapes:
        if points.ndim != 2 or points.shape[1] != 2:
            raise PixelClusterError(
                f"{where}: {label!r} has points of shape {points.shape}; wanted x, y pairs"
            )
        if not np.isfinite(points).all() or np.abs(points).max(initial=0) > _FARTHEST:
            raise PixelClusterError(f"{where}: {label!r} has a point far outside the image")
    ids, found = _resolve([label for label, _, _ in shapes], names, where)
    marks = np.full(shape, UNKNOWN, np.int32)
    for (label, kind, points), cluster in zip(shapes, ids, strict=True):
        corners = points.round().astype(np.int32)
        if kind == "area" and len(points) < 3:
            raise PixelClusterError(f"{where}: the area {label!r} has {len(points)} points; 3 are wanted")
        if kind == "area":
            cv2.fillPoly(marks, [corners], cluster)
        elif kind == "line":
            cv2.polylines(marks, [corners], False, cluster, _THICKNESS)
        else:
            for x, y in corners.tolist():
                cv2.circle(marks, (x, y), _THICKNESS // 2, cluster, -1)
    return marks, found


def _load(path: str | os.PathLike[str]) -> dict[str, Any]:
    name = show_path(path)
    try:
        if os.path.getsize(path) > _LARGEST_FILE:
            raise PixelClusterError(f"{name}: larger than {_LARGEST_FILE / 1e6:g} MB; strokes are small")
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, PixelClusterError):
            raise
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
        raise PixelClusterError(f"{name}: cannot be read as JSON ({reason})") from None
    if not isinstance(document, dict):
        raise PixelClusterError(f"{name}: is neither Labelme nor GeoJSON, which are objects")
    return document


def _labelme(document: dict[str, Any]) -> Iterator[Shape]:
    for shape in document["shapes"]:
        kind, label = shape.get("shape_type", "polygon"), str(shape["label"])
        points = np.array(shape["points"], dtype=np.float64).reshape(-1, 2)
        if kind == "rectangle":
            (x, y), (right, bottom) = points
            yield label, "area", np.array([[x, y], [right, y], [right, bottom], [x, bottom]])
        elif kind == "circle":
            radius = math.dist(*points)
            angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
            yield label, "area", points[0] + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
        elif kind in ("line", "linestrip"):
            yield label, "line", points
        elif kind in ("point", "points"):
            yield label, "points", points
        elif kind == "polygon":
            yield label, "area", points
        else:
            raise ValueError(f"shape_type {kind!r} is not supported")


def _geojson(document: dict[str, Any]) -> Iterator[Shape]:
    features = document["features"] if document["type"] == "FeatureCollection" else [document]
    for feature in features:
        properties = feature.get("properties") or {}
        keys = [key for key in ("label", "class", "name", "cluster") if key in properties]
        if not keys:
            raise ValueError("a feature has no property label, class, name or cluster")
        label = str(properties[keys[0]])
        geometry = feature["geometry"]
        kind, coordinates = geometry["type"], geometry["coordinates"]
        parts = coordinates if kind.startswith("Multi") else [coordinates]
        for part in parts:
            if kind.endswith("Polygon"):
                yield label, "area", np.array(part[0], dtype=np.float64)[:, :2]
            elif kind.endswith("LineString"):
                yield label, "line", np.array(part, dtype=np.float64)[:, :2]
            elif kind.endswith("Point"):
                yield label, "points", np.array([part], dtype=np.float64)[:, :2]
            else:
                raise ValueError(f"geometry {kind!r} is not supported")


def _resolve(
    labels: Sequence[str], names: Sequence[str] | None, where: str
) -> tuple[list[int], tuple[str, ...]]:
    """Return the id of each label, and the names by id."""
    known = {name: i for i, name in enumerate(names or ()) if name}
    long = [label for label in labels if label.isdecimal() and len(label) > 9]
    if long:
        raise PixelClusterError(f"{where}: label {long[0][:60]!r} is no id; ids go from 0")
    numbers = {int(label) for label in labels if label.isdecimal() and label not in known}
    free = (i for i in range(len(numbers) + len(labels) + 1) if i not in numbers)
    ids = []
    for label in labels:
        if label in known:
            ids.append(known[label])
        elif label.isdecimal():
            ids.append(int(label))
        elif names is None and label.isprintable() and len(label) <= 60:
            ids.append(known.setdefault(label, next(free)))
        else:
            wanted = ", ".join(name for name in names or () if name) or "it has no names"
            raise PixelClusterError(
                f"{where}: label {label[:60]!r} is neither an id nor a name of the model ({wanted})"
            )
    _check_id(max(ids, default=0), names, where)
    if names is not None or not known:
        return ids, tuple(names or ())
    by_id = {i: name for name, i in known.items()}
    return ids, tuple(by_id.get(i, "") for i in range(max(ids) + 1))


def _size_message(name: str, found: tuple[Any, ...], wanted: tuple[int, int]) -> str:
    return (
        f"{name}: scribbles are {found[1]} x {found[0]}, the image is {wanted[1]} x {wanted[0]}; "
        "paint them on the image itself"
    )
