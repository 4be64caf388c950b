from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from pixelcluster.cli.main import cli
from pixelcluster.io.label_map import read_label_file, read_label_map
from pixelcluster.segmenting.estimator import PixelCluster
from tests.synthetic import settings, textures


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def strokes(tmp_path: Path) -> Path:
    """Red is called fire; green and white are one."""
    shapes = [
        {"label": "fire", "shape_type": "rectangle", "points": [[3, 3], [20, 12]]},
        {"label": "rest", "shape_type": "line", "points": [[40, 5], [40, 35]]},
    ]
    (tmp_path / "strokes.json").write_text(json.dumps({"shapes": shapes}))
    return tmp_path / "strokes.json"


def test_names_of_strokes_travel_to_table_and_file(
    photo: Callable[..., Path], strokes: Path, tmp_path: Path
) -> None:
    result = run("segment", photo(), "--scribbles", strokes, "--json")
    assert result.exit_code == 0, result.output
    (facts,) = json.loads(result.stdout)
    assert facts["names"][:2] == ["fire", "rest"]
    labels = read_label_map(tmp_path / "photo_labels.png")
    assert (labels[:18, :28] == 0).all()
    assert (labels[:, 34:] == 1).all()
    assert read_label_file(tmp_path / "photo_labels.png").names[:2] == ("fire", "rest")
    assert "fire" in run("segment", photo(), "--scribbles", strokes, "--overwrite").stdout
    assert "fire" in run("info", tmp_path / "photo_labels.png").stdout


def test_one_image_and_the_quick_mode_only(photo: Callable[..., Path], strokes: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    for arguments, word in (
        ((photo("a.png"), photo("b.png")), "one image"),
        ((photo("a.png"), "--mode", "exact"), "quick model"),
        ((photo("a.png"), "--stack", "rgb"), "quick model"),
    ):
        result = run("segment", *arguments, "--scribbles", strokes)
        assert result.exit_code == 1
        assert word in result.stderr
        assert result.stderr.startswith("error: ")
    assert sorted(tmp_path.iterdir()) == sorted({*before, tmp_path / "a.png", tmp_path / "b.png"})


def test_bad_strokes_write_nothing(photo: Callable[..., Path], tmp_path: Path) -> None:
    path = photo()
    Image.fromarray(np.ones((9, 9), np.uint8)).save(tmp_path / "small.png")
    (tmp_path / "text.json").write_text("hello")
    before = sorted(tmp_path.iterdir())
    for name in ("small.png", "text.json", "gone.png", "a\nb.json"):
        result = run("segment", path, "--scribbles", tmp_path / name)
        assert result.exit_code == 1
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert repr(name)[1:-1] in line
    assert sorted(tmp_path.iterdir()) == before


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model"
    images, _ = textures(3)
    config = settings(sampler={"inference_rounds": 2}, targets={"image_side": 96})
    PixelCluster(config=config).fit(images).save(path)
    return path


def test_a_model_knows_its_names_and_merges(model: Path, tmp_path: Path) -> None:
    Image.fromarray((textures(1, side=64)[0][0] * 255).astype(np.uint8)).save(tmp_path / "x.png")
    assert run("name", model, "1=wave").exit_code == 0
    assert run("merge", model, "1,2").exit_code == 0
    for label in ("wave", "2", "1"):  # 2 was merged into 1
        shapes = [{"label": label, "shape_type": "rectangle", "points": [[5, 5], [20, 20]]}]
        (tmp_path / "s.json").write_text(json.dumps({"shapes": shapes}))
        arguments = ("segment", tmp_path / "x.png", "--model", model, "--scribbles", tmp_path / "s.json")
        result = run(*arguments, "--overwrite", "--probabilities")
        assert result.exit_code == 0, result.output
        assert (read_label_map(tmp_path / "x_labels.png")[5:20, 5:20] == 1).all()
    assert "wave" in result.stdout
    assert re.search(r"^ +1 ", result.stdout, re.MULTILINE)
    assert not re.search(r"^ +2 ", result.stdout, re.MULTILINE)  # merged away
    for label, word in (("wavy", "wave"), ("3", "0 to 2")):
        (tmp_path / "s.json").write_text(json.dumps({"shapes": [shapes[0] | {"label": label}]}))
        result = run(*arguments, "--overwrite")
        assert result.exit_code == 1
        assert word in result.stderr
    result = run(*arguments, "--mode", "fast", "--overwrite")
    assert result.exit_code == 1
    assert "chains" in result.stderr
