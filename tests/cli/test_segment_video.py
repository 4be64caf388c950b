from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pixelcluster.cli.main import cli
from pixelcluster.evaluation.flicker import planted_clip
from tests.cli.segmenting import fails, names, run
from tests.videos import mark_rotated, write_video

av = pytest.importorskip("av")


def read_ids(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    write_video(tmp_path / "clip.mp4", [frame.image for frame in planted_clip(5, 64, 96, noise=3)[0]])
    return tmp_path / "clip.mp4"


def test_labels_overlay_and_facts(clip: Path, tmp_path: Path) -> None:
    result = run(clip, "-k", 4, "-o", tmp_path / "out", "--json", "--report", tmp_path / "out" / "r.html")
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "out") == ["clip_labels.mkv", "clip_overlay.mp4", "r.html"]
    (facts,) = json.loads(result.stdout)
    assert facts["n_clusters"] == 4
    ids = read_ids(tmp_path / "out" / "clip_labels.mkv")
    assert ids.shape == (5, 64, 96)
    np.testing.assert_allclose(facts["shares"], np.bincount(ids.ravel(), minlength=4) / ids.size)
    with av.open(str(tmp_path / "out" / "clip_overlay.mp4")) as overlay, av.open(str(clip)) as source:
        times = [[frame.time for frame in part.decode(video=0)] for part in (overlay, source)]
    assert times[0] == pytest.approx(times[1])
    again = run(clip, "-k", 4, "-o", tmp_path / "out", "--no-overlay")
    fails(again, "--overwrite")
    skipped = run(clip, "-k", 4, "-o", tmp_path / "out", "--skip-existing")
    assert (skipped.exit_code, "1 of 1 inputs skipped" in skipped.output) == (0, True)


def test_same_ids_again_and_a_file_name(clip: Path, tmp_path: Path) -> None:
    for name in ("a.mkv", "b.mkv"):
        assert run(clip, "-k", 3, "-o", tmp_path / name, "--no-overlay").exit_code == 0
    np.testing.assert_array_equal(read_ids(tmp_path / "a.mkv"), read_ids(tmp_path / "b.mkv"))
    fails(run(clip, "-o", tmp_path / "c.png"), "end -o in .mkv")
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    fails(run(tmp_path / "x.png", "-o", tmp_path / "x.mkv"), "end -o in .png or .tif")
    fails(run(clip, "-o", clip.with_suffix(".mkv"), "--probabilities"), "--probabilities")


def test_rotated_labels_are_upright(clip: Path, tmp_path: Path) -> None:
    mark_rotated(clip)
    assert run(clip, "-k", 2, "-o", tmp_path / "out").exit_code == 0
    assert read_ids(tmp_path / "out" / "clip_labels.mkv").shape == (5, 96, 64)


def test_videos_and_photographs_together(clip: Path, tmp_path: Path) -> None:
    Image.fromarray(planted_clip(1, 40, 60)[0][0].image).save(tmp_path / "photo.png")
    (tmp_path / "bad.mov").write_bytes(b"not a video at all")
    data = clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    inputs = [tmp_path / name for name in ("photo.png", "bad.mov", "clip.mp4", "cut.mp4")]
    result = run(*inputs, "-k", 2, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.count("error: ") == 2
    assert "2 of 4 inputs failed" in result.stderr
    assert names(tmp_path / "out") == [
        "clip_labels.mkv", "clip_overlay.mp4", "photo_labels.png", "photo_overlay.png",
    ]  # fmt: skip


def test_choices_videos_do_not_have(clip: Path, tmp_path: Path) -> None:
    Image.new("L", (96, 64), 1).save(tmp_path / "s.png")
    fails(run(clip, "--scribbles", tmp_path / "s.png"), "--scribbles")
    fails(run(clip, "--bands", "1"), "--bands")
    fails(run(clip, "--entropy"), "--entropy")
    fails(run(clip, "--format", "npz"), ".mkv", "--format")
    fails(run(clip, "-o", tmp_path / "x.mkv", "--format", "png"), "--format")
    fails(run(clip, "--stack", "texture"), "--stack")
    fails(run(clip, "--mode", "exact"), "--mode")
    fails(run(clip, "--max-pixels", 1000), "--max-pixels")
    fails(run(clip, "--polygons", tmp_path / "p.geojson"), "--polygons")
    fails(run(tmp_path / "gone.mp4"), "no such file")
    assert names(tmp_path) == ["clip.mp4", "s.png"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pixelcluster.segmenting.estimator import PixelCluster
    from tests.synthetic import settings

    path = tmp_path_factory.mktemp("model") / "model"
    config = settings(targets={"stack": "rgb", "image_side": 64}, training={"epochs": 1})
    images = [frame.image for frame in planted_clip(2, 64, 96, speed=30)[0]]
    PixelCluster(config=config).fit(images).save(path)
    assert CliRunner().invoke(cli, ["name", str(path), "1=disc"]).exit_code == 0
    return path


def test_a_model_and_its_names(clip: Path, tmp_path: Path, model: Path) -> None:
    result = run(clip, "--model", model, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    (facts,) = json.loads(result.stdout)
    assert facts["names"] == ["", "disc", ""]
    with av.open(str(tmp_path / "out" / "clip_labels.mkv")) as container:
        assert json.loads(container.metadata["CLASSES"])[1]["name"] == "disc"
