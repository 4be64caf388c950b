"""Strokes of known labels: an indexed or grey PNG, Labelme JSON, or GeoJSON in pixel coordinates.

In a PNG 0 is unknown and i is cluster i; cluster 0 is marked in JSON, where a label is an id or a name. Holes
of polygons are not marked.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError, PixelClusterWarning, show_path
from pixelcluster.io.decode import MAX_PIXELS, file_size
from pixelcluster.io.label_map import read_label_map

Marks = NDArray[np.int32]
Shape = tuple[str, str, list[NDArray[np.float64]]]
"""Label, what to draw ("area", "line" or "points"), and points (n, 2) x, y: of an area its outline, then its
holes; of the others one array."""

UNKNOWN = -1
MAX_CLASS = 255
_LARGEST_FILE = 50_000_000
_LARGE_ID = 15
_FARTHEST = 1e6  # pixels
_THICKNESS = 3  # pixels, of lines and points
_KINDS = {"Polygon": "area", "LineString": "line", "Point": "points"}
_LEAST = {"area": 3, "line": 2, "points": 1}


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
            raise PixelClusterError(size_message(name, read.shape, shape))
        marks, found = np.where(read > 0, read, UNKNOWN).astype(np.int32), tuple(names or ())
        if names is None:
            _hint_at_shades(marks, name)
    largest = int(marks.max(initial=UNKNOWN))
    if largest == UNKNOWN:
        raise PixelClusterError(f"{name}: marks no pixel of the image; paint some, in ids from 1")
    check_id(largest, names, name)
    return marks, found


def _hint_at_shades(marks: Marks, where: str) -> None:
    """Warn of a few large ids, which look like shades of grey."""
    used = np.unique(marks[marks != UNKNOWN]).tolist()
    if max(_LARGE_ID, 4 * len(used)) < max(used, default=0) <= MAX_CLASS:
        shown = ", ".join(map(str, used[:4])) + ", ..." * (len(used) > 4)
        warnings.warn(
            f"{where}: marks clusters {shown}: the values of a PNG are ids, and small ones such as 1, 2 are "
            "usual",
            PixelClusterWarning,
            stacklevel=3,
        )


def check_id(cluster: int, names: Sequence[str] | None, where: str) -> None:
    """Refuse an id beyond those of a model (or beyond `MAX_CLASS`).

    Raises:
        PixelClusterError: naming the id and the limit.
    """
    limit = MAX_CLASS if names is None else len(names) - 1
    if cluster > limit:
        raise PixelClusterError(f"{where}: marks cluster {cluster}, but ids go from 0 to {limit}")


def check_whole(marks: NDArray[np.generic]) -> None:
    """Refuse an array of scribbles that are no ids.

    Raises:
        PixelClusterError: naming its type.
    """
    if not np.issubdtype(marks.dtype, np.integer):
        raise PixelClusterError(
            f"scribbles are {marks.dtype}; wanted whole numbers, -1 where unknown: convert them to int32"
        )


def _from_json(
    path: str | os.PathLike[str], shape: tuple[int, int], names: Sequence[str] | None
) -> tuple[Marks, tuple[str, ...]]:
    import cv2

    document = load_document(path)
    where = show_path(path)
    size = (document.get("imageHeight"), document.get("imageWidth"))
    if None not in size and size != shape:
        raise PixelClusterError(size_message(where, size, shape))
    try:
        shapes = [*(_labelme(document) if "shapes" in document else geojson_shapes(document))]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())[:120]
        raise PixelClusterError(f"{where}: is neither Labelme nor GeoJSON as expected ({reason})") from None
    for label, _, rings in shapes:
        points = np.concatenate(rings)
        if not np.isfinite(points).all() or np.abs(points).max(initial=0) > _FARTHEST:
            raise PixelClusterError(f"{where}: {label!r} has a point far outside the image")
    ids, found = resolve_labels([label for label, _, _ in shapes], names, where)
    marks = np.full(shape, UNKNOWN, np.int32)
    for (label, kind, rings), cluster in zip(shapes, ids, strict=True):
        corners = [ring.round().astype(np.int32) for ring in rings]
        if kind == "area" and len(rings[0]) < 3:
            raise PixelClusterError(f"{where}: the area {label!r} has {len(rings[0])} points; 3 are wanted")
        if kind == "area":
            cv2.fillPoly(marks, corners, cluster)  # by the even-odd rule
        elif kind == "line":
            cv2.polylines(marks, corners, False, cluster, _THICKNESS)
        else:
            for x, y in corners[0].tolist():
                cv2.circle(marks, (x, y), _THICKNESS // 2, cluster, -1)
    return marks, found


def load_document(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        PixelClusterError: unreadable, larger than strokes are, or no object.
    """
    name = show_path(path)
    if file_size(Path(path)) > _LARGEST_FILE:
        raise PixelClusterError(f"{name}: larger than {_LARGEST_FILE / 1e6:g} MB; strokes are small")
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
        raise PixelClusterError(f"{name}: cannot be read as JSON ({reason})") from None
    if not isinstance(document, dict):
        raise PixelClusterError(f"{name}: is neither Labelme nor GeoJSON, which are objects")
    return document


def _labelme(document: dict[str, Any]) -> Iterator[Shape]:
    for shape in document["shapes"]:
        kind, label = shape.get("shape_type", "polygon"), _label(shape["label"])
        points = np.array(shape["points"], dtype=np.float64).reshape(-1, 2)
        if kind == "rectangle":
            (x, y), (right, bottom) = points
            yield label, "area", [np.array([[x, y], [right, y], [right, bottom], [x, bottom]])]
        elif kind == "circle":
            radius = math.dist(*points)
            angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
            yield label, "area", [points[0] + radius * np.stack([np.cos(angles), np.sin(angles)], 1)]
        elif kind in ("line", "linestrip"):
            yield label, "line", [points]
        elif kind in ("point", "points"):
            yield label, "points", [points]
        elif kind == "polygon":
            yield label, "area", [points]
        else:
            raise ValueError(f"shape_type {kind!r} is not supported")


def geojson_shapes(document: dict[str, Any]) -> Iterator[Shape]:
    """Yield each polygon, line and point of a GeoJSON document.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, IndexError: it is not as GeoJSON is.
    """
    for feature in document["features"] if document["type"] == "FeatureCollection" else [document]:
        properties, geometry = feature.get("properties") or {}, feature["geometry"]
        keys = ("label", "class", "name", "cluster")
        labels = [_label(properties[key]) for key in keys if properties.get(key) not in (None, "")]
        if not labels:
            raise ValueError("a feature has no property label, class, name or cluster")
        single = geometry["type"].removeprefix("Multi")
        if single not in _KINDS:
            raise ValueError(f"geometry {geometry['type']!r} is not supported")
        kind, coordinates = _KINDS[single], geometry["coordinates"]
        for part in [coordinates] if geometry["type"] == single else coordinates:
            parts = part if kind == "area" else [[part]] if kind == "points" else [part]
            rings = [np.array(ring, dtype=np.float64)[:, :2] for ring in parts]
            if not rings or any(len(r) < _LEAST[kind] or r.shape[1:] != (2,) for r in rings):
                raise ValueError(f"{labels[0][:60]!r} has too few coordinates")
            yield labels[0], kind, rings


def _label(value: object) -> str:
    """Return a label as text; a GIS that has no integers stores an id as 2.0."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def resolve_labels(
    labels: Sequence[str], names: Sequence[str] | None, where: str
) -> tuple[list[int], tuple[str, ...]]:
    """Return the id of each label, and the names by id; see `read_scribbles` for `names`.

    Raises:
        PixelClusterError: a label that is neither an id nor a name, or an id out of range.
    """
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
    check_id(max(ids, default=0), names, where)
    if names is not None or not known:
        return ids, tuple(names or ())
    by_id = {i: name for name, i in known.items()}
    return ids, tuple(by_id.get(i, "") for i in range(max(ids) + 1))


def size_message(name: str, found: tuple[Any, ...], wanted: tuple[int, int]) -> str:
    """Return what to say of scribbles of another size."""
    return (
        f"{name}: scribbles are {found[1]} x {found[0]}, the image is {wanted[1]} x {wanted[0]}; "
        "paint them on the image itself"
    )
