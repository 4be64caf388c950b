"""The scoreboard runs what is missing, keeps what is there, and says what it found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.scoreboard import markdown, method_names, read_entries, run_all
from tools.scoreboard import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images, red above blue, with labels."""
    root = tmp_path_factory.mktemp("bands")
    (root / "images").mkdir()
    (root / "labels").mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        label = np.zeros((24, 32), np.uint8)
        label[10 + index :] = 1
        image = np.where(label[..., None] == 0, (200, 40, 40), (40, 40, 200)) + rng.integers(
            -9, 9, (24, 32, 3)
        )
        Image.fromarray(image.astype(np.uint8)).save(root / "images" / f"{index}.png")
        Image.fromarray(label).save(root / "labels" / f"{index}.png")
    return root


def test_runs_once_and_reads_back(folder: Path, tmp_path: Path) -> None:
    """A second call runs nothing; another budget runs again; every method of the data set is known."""
    lines: list[str] = []
    files = run_all({"bands": folder}, ["kmeans"], [0, 1], tmp_path, minutes=0.1, tell=lines.append)
    assert len(files) == 2
    assert len(lines) == 4
    run_all({"bands": folder}, ["kmeans"], [0, 1], tmp_path, minutes=0.1, tell=lines.append)
    assert len(lines) == 4
    run_all({"bands": folder}, ["kmeans"], [1], tmp_path, minutes=0.2, tell=lines.append)
    assert len(lines) == 6
    (entry,) = read_entries(tmp_path)
    assert entry.acc == (100.0, 100.0)
    assert entry.n_images == 4
    assert 50 < entry.majority < 60
    assert "| kmeans | from scratch | 100.0 +- 0.0 | 2 |" in markdown([entry])
    assert {"iic", "infoseg", "variational", "clustered-generator"} <= set(method_names("bands"))
    assert {"vade", "hashgan", "variational", "clustered-generator"} <= set(method_names("mnist"))


def test_changed_settings_run_again_and_names_must_differ(folder: Path, tmp_path: Path) -> None:
    """What a run is kept under is the name of its settings, so two of one name would share a file."""
    config = tmp_path / "mine.yaml"
    lines: list[str] = []
    for epochs in (1, 1, 2):
        config.write_text(
            "targets: {stack: rgb}\nstudent: {enabled: false}\n"
            f"training: {{epochs: {epochs}, restarts: 1}}\n",
            encoding="utf-8",
        )
        run_all({"bands": folder}, [str(config)], [0], tmp_path, minutes=1, tell=lines.append)
    assert len(lines) == 4
    with pytest.raises(PixelClusterError, match="two methods are called 'mine'"):
        run_all({"bands": folder}, [str(config), "other/mine.yaml"], [0], tmp_path, minutes=1)
    with pytest.raises(PixelClusterError, match="two methods are called 'iic'"):
        run_all({"bands": folder}, ["iic", "some/iic.yaml"], [0], tmp_path, minutes=1)


def test_the_tool_writes_table_json_and_chart(folder: Path, tmp_path: Path) -> None:
    """With a configuration of the clustered generator beside a rival."""
    pytest.importorskip("matplotlib")
    config = tmp_path / "quick.yaml"
    config.write_text(
        "targets: {stack: rgb}\nstudent: {enabled: false}\ntraining: {epochs: 1, restarts: 1}\n"
    )
    out = tmp_path / "out"
    result = CliRunner().invoke(
        main,
        [
            *("--data", f"bands={folder}", "--methods", f"kmeans,{config}", "--seeds", "0"),
            *("--budget-minutes", "1", "--out", str(out)),
        ],
    )
    assert result.exit_code == 0, result.output
    entries = json.loads((out / "scoreboard.json").read_text())
    assert {entry["method"] for entry in entries} == {"kmeans", "quick"}
    assert not any(entry["pretrained"] for entry in entries)
    assert "| quick | from scratch |" in (out / "scoreboard.md").read_text()
    with Image.open(out / "scoreboard.png") as chart:
        assert chart.width > 500


def test_wrong_names_and_files_end_in_a_line(folder: Path, tmp_path: Path) -> None:
    """A method that does not exist, a source without a folder, a run that is none."""
    with pytest.raises(PixelClusterError, match="unknown method 'vade'"):
        run_all({"bands": folder}, ["vade"], [0], tmp_path, minutes=1)
    result = CliRunner().invoke(main, ["--data", "bands", "--methods", "kmeans", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "wanted NAME=DIR" in result.stderr
    (tmp_path / "runs" / "bands").mkdir(parents=True)
    (tmp_path / "runs" / "bands" / "kmeans-0.json").write_text("[]")
    with pytest.raises(PixelClusterError, match="is no run"):
        read_entries(tmp_path)
