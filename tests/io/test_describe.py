from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.describe import describe
from pixelcluster.io.label_map import encode_label_map
from pixelcluster.io.soft_maps import encode_entropy, encode_probabilities
from pixelcluster.render.palette import categorical
from tests.rasters import planted, write_scene


@pytest.fixture
def model(tmp_path: Path) -> Path:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(24))
    (tmp_path / "config.yaml").write_text("n_clusters: 4\n")
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    return tmp_path


def test_model_folder(model: Path) -> None:
    facts = describe(model)
    assert facts["kind"] == "model"
    assert facts["config"] == {"n_clusters": 4}
    assert facts["weights"]["model.safetensors"]["parameters"] == 6
    assert facts["last_metrics"] == {"step": 2}
    assert describe(model / "model.safetensors")["tensors"] == 1


def test_damaged_models_are_one_line(model: Path) -> None:
    (model / "metrics.jsonl").write_text("{")
    with pytest.raises(PixelClusterError, match=r"metrics\.jsonl"):
        describe(model)
    (model / "config.yaml").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(PixelClusterError, match=r"config\.yaml"):
        describe(model)
    for content in (b"x" * 100, (2).to_bytes(8, "little") + b"[]", (4).to_bytes(8, "little") + b'{"a"'):
        (model / "model.safetensors").write_bytes(content)
        with pytest.raises(PixelClusterError, match="not a safetensors file"):
            describe(model / "model.safetensors")
    (model / "config.yaml").unlink()
    with pytest.raises(PixelClusterError, match="not a model folder"):
        describe(model)


def test_label_maps_and_images(tmp_path: Path) -> None:
    ids = np.array([[0, 0, 2, 0]], dtype=np.int32)
    for suffix in ("png", "tif", "npz"):
        encode_label_map(tmp_path / f"m.{suffix}", ids, categorical(3), suffix)  # type: ignore[arg-type]
        facts = describe(tmp_path / f"m.{suffix}")
        assert (facts["kind"], facts["n_clusters"], facts["shares"]) == ("label map", 2, {0: 0.75, 2: 0.25})
    Image.new("RGB", (4, 2), (255, 0, 0)).save(tmp_path / "photo.png")
    facts = describe(tmp_path / "photo.png")
    assert (facts["kind"], facts["width"], facts["height"], facts["mean_colour"]) == (
        "image",
        4,
        2,
        [1, 0, 0],
    )
    with pytest.raises(PixelClusterError, match="no such file"):
        describe(tmp_path / "gone.png")


def test_over_the_cap_the_header_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.png"
    Image.new("L", (30, 20)).save(path)
    monkeypatch.setattr("pixelcluster.io.describe.MAX_PIXELS", 599)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # Pillow warns above it, and warnings are errors here
    facts = describe(path)
    assert (facts["kind"], facts["width"], facts["height"], facts["mode"]) == ("image", 30, 20, "L")
    assert "mean_colour" not in facts
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)  # and fails above twice as many
    assert describe(path) == facts
    encode_label_map(path, np.zeros((20, 30), dtype=np.int32), categorical(1), "png")
    assert describe(path)["kind"] == "image"


def test_rasters(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    write_scene(tmp_path / "scene.tif", planted(20, 30), n_bands=5, dtype="uint16", nodata=0)
    facts = describe(tmp_path / "scene.tif")
    assert (facts["kind"], facts["height"], facts["width"]) == ("raster", 20, 30)
    assert (facts["bands"], facts["type"], facts["crs"], facts["nodata"]) == (5, "uint16", "EPSG:32633", 0)
    whole = (tmp_path / "scene.tif").read_bytes()
    for cut in (len(whole) // 2, len(whole) - 1):
        (tmp_path / "scene.tif").write_bytes(whole[:cut])
        try:
            assert describe(tmp_path / "scene.tif")["kind"] == "raster"
        except PixelClusterError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_a_model_is_summed_up_first(model: Path) -> None:
    clusters = "clusters: {names: {0: sky}, merged: {3: 1}}\n"
    (model / "config.yaml").write_text(f"n_clusters: 4\nmode: fast\ntargets: {{stack: rgb}}\n{clusters}")
    (model / "metrics.jsonl").write_text('{"objective": -1}\n{"objective": -0.5}\n{"student_loss": 1}\n')
    facts = describe(model)
    assert [*facts] == [
        *("kind", "n_clusters", "in_use", "merged", "names", "stack", "mode", "epochs", "objective"),
        *("config", "weights", "last_metrics"),
    ]
    assert (facts["in_use"], facts["names"], facts["epochs"], facts["objective"]) == (3, {0: "sky"}, 2, -0.5)
    for odd in ("- 1\n", "clusters: 5\nn_clusters: x\n"):  # nonsense is shown, not stumbled over
        (model / "config.yaml").write_text(odd)
        assert describe(model)["kind"] == "model"


def test_how_far_the_student_agrees_is_shown(model: Path) -> None:
    lines = '{"objective": -1}\n{"student_loss": 1, "student_agreement": 0.65}\n'
    (model / "metrics.jsonl").write_text(lines)
    assert describe(model)["student_agreement"] == 0.65


def test_soft_maps_say_what_they_are(tmp_path: Path) -> None:
    soft = np.full((4, 3, 5), 0.25, np.float32)
    encode_probabilities(tmp_path / "p.npz", soft)
    facts = describe(tmp_path / "p.npz")
    assert (facts["kind"], facts["n_clusters"], facts["height"]) == ("probabilities", 4, 3)
    assert facts["means"] == dict.fromkeys(range(4), 0.25)
    encode_entropy(tmp_path / "e.png", np.full((3, 5), np.log(2), np.float32), 4)
    facts = describe(tmp_path / "e.png")
    assert (facts["kind"], facts["width"]) == ("entropy map", 5)
    assert facts["mean_nats"] == pytest.approx(np.log(2), abs=1e-4)
    np.savez(tmp_path / "p.npz", probabilities=soft[0])
    with pytest.raises(PixelClusterError, match=r"probabilities is float32 \(3, 5\); wanted"):
        describe(tmp_path / "p.npz")
