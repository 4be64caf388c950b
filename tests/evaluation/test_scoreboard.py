"""The scoreboard runs what is missing, keeps what is there, and says what it found."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pixelcluster.baselines.per_pixel.kmeans import PixelKMeans
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.published import OURS, PUBLISHED
from pixelcluster.evaluation.scoreboard import run_all
from pixelcluster.evaluation.scoreboard_run import check_methods, method_names, takes
from pixelcluster.evaluation.scoreboard_table import markdown, read_entries
from pixelcluster.io.write import make_folder
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
    """A second call runs nothing; every method of the data set is known."""
    lines: list[str] = []
    board = run_all({"bands": folder}, ["kmeans"], [0, 1], tmp_path, minutes=0.1, tell=lines.append)
    assert len(board.files) == 2
    assert not board.failures
    assert len(lines) == 4
    assert run_all({"bands": folder}, ["kmeans"], [0, 1], tmp_path, minutes=0.1, tell=lines.append) == board
    assert len(lines) == 4
    (entry,) = read_entries(board.files)
    assert (entry.acc, entry.acc_odd) == ((100.0, 100.0), (100.0, 100.0))
    assert (entry.n_images, entry.minutes, entry.ours) == (4, 0.1, False)
    assert 50 < entry.majority < 60
    assert all(seconds > 0 for seconds in entry.seconds_predict)
    assert "| kmeans | from scratch | 100.0 +- 0.0 | 100.0 +- 0.0 | 2 |" in markdown([entry])
    one = replace(entry, acc=(100.0,), acc_odd=())
    assert "| kmeans | from scratch | 100.0 | - | 1 |" in markdown([one])
    assert {"iic", "infoseg", "variational", "clustered-generator"} <= set(method_names("bands"))
    assert {"vade", "hashgan", "variational", "clustered-generator"} <= set(method_names("mnist"))


def test_runs_of_another_budget_or_other_images_are_not_pooled(folder: Path, tmp_path: Path) -> None:
    """Seed 0 is there from an earlier call that asked for something else; this call asks for seed 1 alone."""
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    rng = np.random.default_rng(0)
    for path in (other / "labels").iterdir():
        Image.fromarray(rng.integers(0, 2, (24, 32), dtype=np.uint8)).save(path)
    out = tmp_path / "out"
    run_all({"bands": folder}, ["kmeans"], [0], out, minutes=0.1)
    (entry,) = read_entries(run_all({"bands": other}, ["kmeans"], [1], out, minutes=0.2).files)
    assert len(entry.acc) == 1
    assert entry.acc[0] < 70
    for changed in ({"data": {"bands": other}}, {"minutes": 0.2}):
        call = {"data": {"bands": folder}, "minutes": 0.1, **changed}
        lines: list[str] = []
        run_all(call["data"], ["kmeans"], [0], out, minutes=call["minutes"], tell=lines.append)
        assert len(lines) == 2
    (other / "images" / "3.png").unlink()
    lines = []
    run_all({"bands": other}, ["kmeans"], [1], out, minutes=0.2, tell=lines.append)
    assert len(lines) == 2


def test_pretrained_methods_are_not_held_against_figures_from_scratch(monkeypatch, tmp_path: Path) -> None:
    """The published figure belongs to a method that learned from scratch."""
    report = {"acc": 50.0, "seconds": 1.0, "seconds_predict": 1.0}

    class Data:
        n_images, majority = 1, 40.0

        def run(self, method, seed, *, minutes, device):
            return {**report, "pretrained": method == "stego"}

    monkeypatch.setattr("pixelcluster.evaluation.scoreboard.open_source", lambda name, path: Data())
    monkeypatch.setitem(PUBLISHED, ("coco-stuff-3", "stego"), 60.0)
    board = run_all({"coco-stuff-3": tmp_path}, ["kmeans", "stego", OURS], [0], tmp_path, minutes=1)
    found = {entry.method: entry for entry in read_entries(board.files)}
    assert {name: entry.published for name, entry in found.items()} == {
        "kmeans": 52.2, "stego": None, OURS: 73.3
    }  # fmt: skip
    assert [name for name, entry in found.items() if entry.ours] == [OURS]


def test_a_run_that_fails_is_noted_and_the_next_one_begins(folder: Path, tmp_path: Path, monkeypatch) -> None:
    """The board is written all the same, and says in the end that something failed."""
    pytest.importorskip("matplotlib")

    def fail(self, images, masks=None):
        raise PixelClusterError("loss is nan")

    monkeypatch.setattr(PixelKMeans, "fit", fail)
    arguments = ["--data", f"bands={folder}", "--seeds", "0", "--out", str(tmp_path), "--methods"]
    result = CliRunner().invoke(main, [*arguments, "kmeans,sift"])
    assert result.exit_code == 1
    assert "bands: kmeans, seed 0: failed: loss is nan" in result.stderr
    assert "error: 1 runs failed" in result.stderr
    assert "| sift |" in (tmp_path / "scoreboard.md").read_text()
    result = CliRunner().invoke(main, [*arguments, "kmeans"])
    assert "error: no run succeeded" in result.stderr


@pytest.mark.parametrize(
    ("data", "methods", "words"),
    [
        (["bands={0}"], "kmeans,missing.yaml", "missing.yaml"),
        (["bands={0}", "other=nowhere"], "kmeans", "nowhere"),
        (["bands={0}"], "kmeans,vade", "unknown method 'vade'"),
        (["coco_stuff_3={0}"], "kmeans", "did you mean coco-stuff-3"),
        (["MNIST={0}"], "kmeans", "did you mean mnist"),
        (["bands"], "kmeans", "wanted NAME=DIR"),
    ],
)
def test_wrong_names_and_files_end_in_a_line_before_any_fit(folder, tmp_path, data, methods, words) -> None:
    """One line, and no run."""
    options = [part for text in data for part in ("--data", text.format(folder))]
    result = CliRunner().invoke(main, [*options, "--methods", methods, "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list((tmp_path / "out").rglob("*.json"))


def test_a_file_that_is_no_run_is_named(folder: Path, tmp_path: Path) -> None:
    """It is not overwritten: somebody may need it."""
    path = make_folder(tmp_path / "runs" / "bands") / "kmeans-0.json"
    path.write_text("[]")
    board = run_all({"bands": folder}, ["kmeans"], [0], tmp_path, minutes=0.1)
    assert "is no run of a scoreboard; delete it" in board.failures[0]
    assert path.read_text() == "[]"


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
    for other, name in ((tmp_path / "other" / "mine.yaml", "mine"), (tmp_path / "iic.yaml", "iic")):
        make_folder(other.parent)
        other.write_text(config.read_text(encoding="utf-8"), encoding="utf-8")
        with pytest.raises(PixelClusterError, match=f"two methods are called '{name}'"):
            run_all({"bands": folder}, [str(config), "iic", str(other)], [0], tmp_path, minutes=1)


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


def test_settings_are_for_pixels_or_for_whole_images(tmp_path: Path) -> None:
    """On a board of both kinds of data a file is used where it fits, and refused where it fits nowhere."""
    for name, text in (("pixel", "targets: {stack: rgb}"), ("image", "iterations: 3"), ("wrong", "magic: 1")):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    pixel, image, wrong = (str(tmp_path / f"{name}.yaml") for name in ("pixel", "image", "wrong"))
    check_methods([pixel, image, "kmeans", "vade"], ["bands", "digits"])
    assert [takes(data, method) for data in ("bands", "digits") for method in (pixel, image)] == [
        True, False, False, True
    ]  # fmt: skip
    with pytest.raises(PixelClusterError, match="magic"):
        check_methods([wrong], ["bands", "digits"])
