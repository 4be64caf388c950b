from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tools.ablate import main

SKY, TREE, DIRT = 156, 168, 110

CONFIG = """
targets: {stack: rgb}
generator: {latent_channels: 1, width: 4}
sampler: {langevin_steps: 1, gibbs_sweeps: 1, inference_rounds: 2}
training: {restarts: 1, epochs: 1}
student: {enabled: false}
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    colours = np.array([(40, 80, 230), (20, 160, 30), (150, 110, 60)], np.uint8)
    for index in range(2):
        classes = np.zeros((390, 390), np.intp)
        classes[150 + 20 * index :], classes[270:, :200] = 1, 2
        Image.fromarray(colours[classes]).save(tmp_path / "images" / f"{index}.png")
        fine = np.array([SKY, TREE, DIRT], np.uint8)[classes]
        Image.fromarray(fine).save(tmp_path / "labels" / f"{index}.png")
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def run(root, *arguments):
    options = ["--root", root, "--config", root / "config.yaml", *arguments]
    return CliRunner().invoke(main, [str(option) for option in options])


def test_it_prints_a_table_and_writes_json_markdown_and_curve(root):
    files = {name: root / f"out.{name}" for name in ("json", "md", "png")}
    result = run(
        root,
        *("--seeds", "0,1", "--variants", "z,langevin-0,langevin-5", "--json", files["json"]),
        *("--markdown", files["md"], "--curve", files["png"]),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == files["md"].read_text(encoding="utf-8")
    assert result.stderr.count("seed ") == 2 * 4
    report = json.loads(files["json"].read_text(encoding="utf-8"))
    assert (report["classes"], report["part"], report["n_images"], report["seeds"]) == (3, "all", 2, [0, 1])
    rows = {row["name"]: row for row in report["variants"]}
    assert list(rows) == ["full", "z-off", "langevin-0", "langevin-5"]
    assert rows["z-off"]["changes"] == {"generator.latent_channels": 0}
    assert list(rows["full"]["acc_per_seed"]) == ["0", "1"]
    assert rows["full"]["acc"] > 60  # three flat colours
    with Image.open(files["png"]) as picture:
        assert picture.format == "PNG"


def test_the_part_chooses_images(root):
    out = root / "out.json"
    result = run(root, "--part", "odd", "--seeds", "0", "--variants", "full", "--json", out)
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text(encoding="utf-8"))["n_images"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variants", "magic"], "unknown variant"),
        (["--seeds", "one"], "'one': wanted whole numbers"),
        (["--json", "nowhere/out.json"], "no such folder"),
    ],
)
def test_problems_are_told_before_any_fit(root, arguments, message):
    result = run(root, *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
