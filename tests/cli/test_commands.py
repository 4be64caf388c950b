from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from pixelcluster.cli.main import cli
from pixelcluster.cli.progress import live_line, log_lines, share_bar, track, training_end, training_line


@pytest.fixture
def label_map(photo: Callable[..., Path], fake_single: None) -> Path:
    path = photo("cat.png")
    assert CliRunner().invoke(cli, ["segment", str(path), "-k", "4", "--no-overlay"]).exit_code == 0
    return path.with_name("cat_labels.png")


def test_export_and_its_thin_face_agree(label_map: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        cli, ["export", str(label_map), "-o", str(tmp_path / "a"), "--palette", "grey"]
    )
    assert result.exit_code == 0, result.output
    tool = Path(__file__).parents[2] / "tools" / "colorize.py"
    arguments = [str(label_map), "-o", str(tmp_path / "b"), "--palette", "grey"]
    subprocess.run(
        [sys.executable, str(tool), *arguments], check=True, env={"PYTHONPATH": str(tool.parents[1])}
    )
    assert (tmp_path / "a/cat_colour.png").read_bytes() == (tmp_path / "b/cat_colour.png").read_bytes()


def test_export_over_the_image_and_errors(label_map: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    options = ["-o", out, "--image", str(tmp_path / "cat.png"), "--opacity", "0.3"]
    assert CliRunner().invoke(cli, ["export", str(label_map), *options]).exit_code == 0
    result = CliRunner().invoke(
        cli, ["export", str(label_map), str(tmp_path / "gone.png"), *options, "--overwrite"]
    )
    assert result.exit_code == 1
    assert result.stderr.count("error: ") == 1
    assert "cat_colour.png" in result.stdout


def test_info(label_map: Path) -> None:
    result = CliRunner().invoke(cli, ["info", str(label_map)])
    assert result.exit_code == 0
    assert "label map" in result.stdout
    facts = json.loads(CliRunner().invoke(cli, ["info", str(label_map), "--json"]).stdout)
    assert facts["n_clusters"] == 4
    result = CliRunner().invoke(cli, ["info", str(label_map.parent)])
    assert result.exit_code == 1
    assert "not a model folder" in result.stderr


def test_training_line() -> None:
    state = {
        "step": 12,
        "objective": 0.5,
        "shares": [0.25, 0.75],
        "steps_per_second": 8.0,
        "seconds_left": 200.0,
    }
    assert training_line(state) == "step 12  objective 0.5000  shares 25 75 %  8.0 steps/s  3:20 left"
    assert training_line({"phase": "reading features", "share": 0.25}) == "reading features 25 %"
    assert training_line({}) == ""


def test_the_training_line_names_the_phase_and_what_the_time_is_of() -> None:
    state = {"start": 3, "starts": 4, "epoch": 5, "epochs": 12, "step": 340, "seconds_left": 61.0}
    assert training_line({**state, "left_of": "the starts"}) == (
        "start 3 of 4  epoch 5 of 12  step 340  1:01 left of the starts"
    )
    assert training_line({**state, "starts": 1, "left_of": ""}) == "epoch 5 of 12  step 340  1:01 left"


def test_progress_is_quiet_when_piped(capfd: pytest.CaptureFixture[str]) -> None:
    with live_line() as show:
        show({"step": 1})
    assert list(track(iter([1, 2]), 2, "x")) == [1, 2]
    assert capfd.readouterr().out == ""


def test_a_share_bar_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with share_bar("segmenting") as show:
        show(0.5)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["picture", "masks", "coco"])
def test_export_makes_no_folder_named_like_a_file(label_map: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "single.png"
    result = CliRunner().invoke(cli, ["export", str(label_map), "-o", str(target), "--format", kind])
    assert result.exit_code == 1
    assert "single.png: " in result.stderr
    assert "give -o a folder" in result.stderr
    assert not target.exists()


def test_export_of_a_model_wants_to(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    Image.new("RGB", (3, 2)).save(tmp_path / "samples.png")
    result = CliRunner().invoke(cli, ["export", str(tmp_path), "-o", str(tmp_path / "x.onnx")])
    assert result.exit_code == 1
    assert "add --to onnx" in result.stderr


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    seconds = iter([0, 5, 20, 35, 40, 66])
    monkeypatch.setattr("pixelcluster.cli.progress.time.monotonic", lambda: next(seconds))
    show = log_lines(30)
    for step in range(5):
        show({"step": step})
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "0:05  step 0\n0:35  step 2\n1:06  step 4\n"


def test_how_a_training_run_ended() -> None:
    history = [{"objective": 1.0}, {"objective": -2.5, "shares": [0.6, 0.4, 0.0]}, {"student_loss": 0.1}]
    assert training_end(history, 3, 61.2) == "3 clusters, 2 in use, 2 epochs, objective -2.5000, 61 s"
    assert training_end([], 1, 0.4) == "1 cluster, 0 s"
