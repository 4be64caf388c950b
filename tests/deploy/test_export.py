from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pixelcluster.cli.main import cli
from pixelcluster.deploy.export import agreement, export_model, read_exported
from pixelcluster.errors import PixelClusterError
from pixelcluster.io.read import read_image
from pixelcluster.training.checkpoint import save_model
from tests.deploy.models import untrained
from tests.synthetic import textures

SAMPLE = Path(__file__).parents[2] / "assets" / "samples" / "chelsea.png"


@pytest.mark.parametrize(("to", "name"), [("onnx", "m.onnx"), ("torch", "m.pt2")])
def test_an_exported_file_labels_images_of_any_size_as_the_model_does(to, name, tmp_path) -> None:
    model = untrained(merged={2: 0}, input_scale=1.5)
    model.history.append({"student_agreement": 0.65})
    save_model(model, tmp_path / "model")
    arguments = ["export", str(tmp_path / "model"), "--to", to, "-o", str(tmp_path / name)]
    result = CliRunner().invoke(cli, [*arguments, "--check", str(SAMPLE)])
    assert result.exit_code == 0, result.output
    assert "warning: the student agrees with the chains on 65 % of the pixels" in result.stderr
    words = result.stdout.splitlines()[-1].split()
    assert float(words[0]) >= 99.9
    assert words[1:4] == ["%", "of", "the"]

    run, facts = read_exported(tmp_path / name)
    assert facts["n_clusters"] == "3"
    assert json.loads(facts["names"]) == ["sky", "Wände", ""]
    assert json.loads(facts["merged"]) == {"2": 0}
    sample = read_image(SAMPLE)
    for image in [*textures(2, side=80)[0], sample, np.random.default_rng(0).random((50, 61, 3), np.float32)]:
        assert agreement(model, run, image) >= 0.999
    logs = run(np.ascontiguousarray(sample[::3, ::3].transpose(2, 0, 1)[None]))
    assert logs.shape == (1, 3, 100, 151)
    np.testing.assert_allclose(np.exp(logs).sum(1), 1, atol=1e-5)
    assert set(np.unique(logs.argmax(1))) == {0, 1}

    again = CliRunner().invoke(cli, arguments)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model", "--to", "onnx", "-o", "m.pt2"], ".onnx"),
        (["model", "--to", "torch", "-o", "m.onnx"], ".pt2"),
        (["model", "--to", "torch", "-o", "gone/m.pt2"], "no such folder"),
        (["model", "--to", "torch", "-o", "m.pt2"], "no student"),
        (["images", "--to", "torch", "-o", "m.pt2"], "whole images"),
        (["empty", "--to", "torch", "-o", "m.pt2"], "no model folder"),
        (["model", "images", "--to", "torch", "-o", "m.pt2"], "one model"),
        (["model", "--to", "torch", "-o", "m.pt2", "--palette", "grey"], "--palette"),
        (["model", "--check", "x.png", "-o", "m.pt2"], "--to onnx"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(arguments, words, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("images", "empty"):
        Path(name).mkdir()
    Path("images/cluster.yaml").write_text("channels: 1\n")
    save_model(untrained(student=False), "model")
    result = CliRunner().invoke(cli, ["export", *arguments])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.glob("m.*"))


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(PixelClusterError, match=r"onnxscript.*pixelcluster\[onnx\]"):
        export_model(tmp_path, "onnx", tmp_path / "m.onnx")
