from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.io.scribbles import read_scribbles

SHAPE = (40, 60)


def png(path: Path, marks: np.ndarray) -> Path:
    Image.fromarray(marks.astype(np.uint8)).save(path)
    return path


def labelme(path: Path, *shapes: dict[str, Any], **more: Any) -> Path:
    path.write_text(json.dumps({"version": "5", "shapes": shapes, **more}))
    return path


def shape(label: object, kind: str, *points: list[float]) -> dict[str, Any]:
    return {"label": label, "shape_type": kind, "points": points}


def feature(geometry: str, coordinates: Any, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": geometry, "coordinates": coordinates},
        "properties": properties,
    }


def test_a_png_says_ids_and_zero_is_unknown(tmp_path: Path) -> None:
    marks = np.zeros(SHAPE)
    marks[3:9, 5:8], marks[20, 30] = 2, 5
    read, names = read_scribbles(png(tmp_path / "s.png", marks), SHAPE)
    np.testing.assert_array_equal(read, np.where(marks == 0, -1, marks))
    assert names == ()
    _, names = read_scribbles(tmp_path / "s.png", SHAPE, names=("a", "", "", "", "", "f"))
    assert names == ("a", "", "", "", "", "f")


def test_labelme_shapes(tmp_path: Path) -> None:
    path = labelme(
        tmp_path / "s.json",
        shape("sky", "polygon", [0, 0], [10, 0], [10, 5], [0, 5]),
        shape("1", "rectangle", [20, 10], [30, 20]),
        shape("road", "linestrip", [40, 0], [40, 20], [50, 20]),
        shape("sky", "circle", [50, 32], [55, 32]),
        shape("road", "point", [3, 35]),
        imageHeight=40,
        imageWidth=60,
    )
    read, names = read_scribbles(path, SHAPE)
    assert names == ("sky", "", "road")  # 1 is taken by the number
    assert (read[2, 4], read[15, 25], read[10, 40], read[20, 45], read[32, 51]) == (0, 1, 2, 2, 0)
    assert (read[35, 3], read[30, 10], read[8, 8]) == (2, -1, -1)
    assert (read == 1).sum() == 11 * 11


def test_geojson_in_pixels(tmp_path: Path) -> None:
    document = {
        "type": "FeatureCollection",
        "features": [
            feature("Polygon", [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]], label="sea"),
            feature("MultiLineString", [[[20, 5], [30, 5]], [[20, 9], [30, 9]]], cluster=2),
            feature("Point", [50, 30], name="sea"),
        ],
    }
    (tmp_path / "s.geojson").write_text(json.dumps(document))
    read, _ = read_scribbles(tmp_path / "s.geojson", SHAPE, names=("sea", "sand", ""))
    assert (read[4, 4], read[5, 25], read[9, 25], read[30, 50], read[20, 20]) == (0, 2, 2, 0, -1)
    one = feature("LineString", [[0, 0], [59, 39]], **{"class": "sand"})
    (tmp_path / "t.geojson").write_text(json.dumps(one))
    read, _ = read_scribbles(tmp_path / "t.geojson", SHAPE, names=("sea", "sand", ""))
    assert read[0, 0] == read[39, 59] == 1


def test_holes_of_geojson_polygons_stay_unmarked(tmp_path: Path) -> None:
    ring = [[0, 0], [30, 0], [30, 30], [0, 30], [0, 0]]
    hole = [[10, 10], [10, 20], [20, 20], [20, 10], [10, 10]]
    island = [[14, 14], [16, 14], [16, 16], [14, 16], [14, 14]]
    document = {
        "type": "FeatureCollection",
        "features": [
            feature("Polygon", [[[0, 11], [59, 11], [59, 13], [0, 13]]], cluster=1),
            feature("MultiPolygon", [[ring, hole, island], [[[40, 20], [50, 20], [50, 30]]]], cluster=2),
        ],
    }
    (tmp_path / "s.geojson").write_text(json.dumps(document))
    read, _ = read_scribbles(tmp_path / "s.geojson", SHAPE)
    expected = np.full(SHAPE, -1)
    expected[11:14] = 1
    inside = np.zeros(SHAPE, dtype=bool)
    inside[:31, :31] = True
    inside[11:20, 11:20] = False  # the outline of a hole belongs to the area
    inside[14:17, 14:17] = True
    expected[inside] = 2
    np.testing.assert_array_equal(read[:, :40], expected[:, :40])
    assert read[22, 48] == 2


def test_ids_that_a_gis_stores_as_floats(tmp_path: Path) -> None:
    for file in ("s.geojson", "s.json"):
        points = [feature("Point", [5 + 10 * i, 5], cluster=value) for i, value in enumerate((2.0, 3, 0.0))]
        document: dict[str, Any] = {"type": "FeatureCollection", "features": points}
        if file == "s.json":
            shapes = [shape(value, "point", [5 + 10 * i, 5]) for i, value in enumerate((2.0, 3, 0.0))]
            document = {"shapes": shapes}
        (tmp_path / file).write_text(json.dumps(document))
        read, names = read_scribbles(tmp_path / file, SHAPE)
        assert (read[5, 5], read[5, 15], read[5, 25], names) == (2, 3, 0, ())
    (tmp_path / "t.geojson").write_text(json.dumps(feature("Point", [5, 5], cluster=2.5)))
    assert read_scribbles(tmp_path / "t.geojson", SHAPE)[1] == ("2.5",)
    (tmp_path / "t.geojson").write_text(json.dumps(feature("Point", [5, 5], cluster=1e300)))
    fails(tmp_path / "t.geojson", "is no id")


def fails(path: Path, *words: str, names: tuple[str, ...] | None = None) -> None:
    with pytest.raises(PixelClusterError) as caught:
        read_scribbles(path, SHAPE, names=names)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_wrong_sizes_and_ids(tmp_path: Path) -> None:
    fails(png(tmp_path / "a.png", np.ones((40, 61))), "61 x 40", "60 x 40")
    fails(png(tmp_path / "b.png", np.zeros(SHAPE)), "marks no pixel")
    fails(png(tmp_path / "c.png", np.full(SHAPE, 7)), "cluster 7", "0 to 3", names=("", "", "", ""))
    Image.new("RGB", (60, 40)).save(tmp_path / "d.png")
    fails(tmp_path / "d.png", "RGB")
    Image.fromarray(np.full(SHAPE, 300, np.uint16)).save(tmp_path / "e.png")
    fails(tmp_path / "e.png", "300", "0 to 255")
    (tmp_path / "f.png").write_bytes((tmp_path / "e.png").read_bytes()[:60])
    fails(tmp_path / "f.png", "f.png")
    fails(tmp_path / "gone.json", "gone.json")
    box = shape("1", "rectangle", [0, 0], [5, 5])
    fails(labelme(tmp_path / "g.json", box, imageHeight=41, imageWidth=60), "60 x 41")
    fails(labelme(tmp_path / "h.json", shape("1", "rectangle", [70, 50], [75, 55])), "marks no pixel")
    for label in ("99999999999", "9" * 5000, "256"):
        fails(labelme(tmp_path / "i.json", shape(label, "point", [5, 5])), "ids go from 0")


@pytest.mark.parametrize(
    "shapes",
    [
        [{"label": "1"}],
        [{"points": [[1, 2]]}],
        [shape("1", "mask", [1, 2])],
        [shape("1", "polygon", [1, 2], [3, 4])],
        [shape("1", "polygon", [1, 2], [3, 4], [float("nan"), 5])],
        [shape("1", "polygon", [1, 2], [3, 4], [1e12, 5])],
        [shape("1", "circle", [1, 2])],
        [shape("a\nb", "point", [1, 2])],
        [shape("1", "polygon", ["x", 2], [3, 4], [3, 5])],
        "text",
        [3],
    ],
)
def test_hostile_labelme(tmp_path: Path, shapes: Any) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"shapes": shapes}))
    fails(tmp_path / "s.json", "s.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "{}",
        '{"type": "Topology"}',
        "[" * 100_000,
        '{"type": "FeatureCollection", "features": 3}',
        '{"type": "Feature", "properties": {"class": 1}, "geometry": {"type": "Point", "coordinates": [1]}}',
        '{"type": "Feature", "properties": {"class": 1}, "geometry": {"type": "Polygon", "coordinates": []}}',
    ],
)
def test_hostile_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.geojson").write_text(text)
    fails(tmp_path / "s.geojson", "s.geojson")


def test_names_a_model_does_not_have(tmp_path: Path) -> None:
    path = labelme(tmp_path / "s.json", shape("see", "point", [1, 2]))
    fails(path, "'see'", "sea, sand", names=("sea", "sand"))
    fails(path, "no names", names=("", ""))


def test_shades_of_grey_get_a_hint(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 60, 120, 240]], np.uint8)).save(tmp_path / "s.png")
    with pytest.warns(PixelClusterWarning, match="marks clusters 60, 120, 240: the values of a PNG are ids"):
        read_scribbles(tmp_path / "s.png", (1, 4))
