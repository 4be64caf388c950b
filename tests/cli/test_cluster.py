"""`pixelcluster cluster` is stopped, goes on, and refuses what it cannot go on with."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from sklearn.datasets import load_digits

from pixelcluster.cli.main import cli
from pixelcluster.cli.tables import print_image_clusters
from pixelcluster.cluster import fit
from pixelcluster.cluster import run as fit_run
from pixelcluster.cluster.results import Clustering
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.resuming.snapshots import find
from pixelcluster.torture.commands import kill, start, wait_until

DIGITS = (load_digits().images[:21] / 16 * 255).astype(np.uint8)


def run(*arguments: object):
    return CliRunner().invoke(cli, ["cluster", *map(str, arguments)])


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the processes have; rounding depends on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.usefixtures("one_thread")
def test_a_real_run_stops_saves_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    source, out, whole = tmp_path / "digits.npz", tmp_path / "out", tmp_path / "whole"
    np.savez(source, DIGITS)
    process = start(["cluster", source, "-k", 3, "-o", out, "--checkpoint-every", 0])
    assert wait_until(lambda: bool(find(out / "checkpoints")), process)
    code, errors = kill(process, signal.SIGTERM)
    assert code == 143
    assert errors.splitlines()[-1].startswith("stopped, saved at step ")
    assert errors.endswith(f"go on with: pixelcluster cluster --resume {out}\n")

    begun = run(source, "-o", out)
    assert begun.exit_code == 1
    assert "go on with --resume" in begun.stderr
    resumed = run("--resume", out)
    assert resumed.exit_code == 0, resumed.output
    assert not (out / "checkpoints").exists()
    again = run("--resume", out)
    assert again.exit_code == 0
    assert again.stdout == f"{out}: the run is finished and its model written; there is nothing to resume\n"
    (out / "assignments.csv").rename(tmp_path / "kept.csv")
    assert "no checkpoint to resume from" in run("--resume", out).stderr
    (tmp_path / "kept.csv").rename(out / "assignments.csv")
    assert run(source, "-k", 3, "-o", whole).exit_code == 0
    for name in ("assignments.csv", "model/model.safetensors"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_folder_and_labels_are_found_again_and_a_changed_image_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for index, image in enumerate(DIGITS[:12]):
        Image.fromarray(image).save(tmp_path / "in" / f"{index:02}.png")
    (tmp_path / "few.csv").write_text("00.png,1\n01.png,0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fit, "_FEWEST", 20)
    with monkeypatch.context() as during:
        during.setattr(fit_run, "fit_student", lambda *a, **k: signal.raise_signal(signal.SIGINT))
        stopped = run("in/", "-k", 2, "--labels", "few.csv", "-o", "out")
    assert stopped.exit_code == 130
    monkeypatch.chdir("/")

    picture = (tmp_path / "in" / "03.png").read_bytes()
    Image.fromarray(DIGITS[20]).save(tmp_path / "in" / "03.png")
    refused = run("--resume", tmp_path / "out")
    assert refused.exit_code == 1
    assert refused.stderr == (
        "error: image 4 of 12 is not the one the run was begun with; restore the folder\n"
    )
    (tmp_path / "in" / "03.png").write_bytes(picture)
    resumed = run("--resume", tmp_path / "out")
    assert resumed.exit_code == 0, resumed.output
    rows = (tmp_path / "out" / "assignments.csv").read_text().splitlines()
    assert [row[:12] for row in rows[1:3]] == ["in/00.png,1,", "in/01.png,0,"]


@pytest.mark.parametrize(
    "extra", [["-k", 3], ["-o", "x"], ["--seed", 0], ["--predict", "m"], ["--config", "c"], ["photos"]]
)
def test_resuming_takes_a_time_only(extra: list[object]) -> None:
    result = run("--resume", "out", *extra)
    assert result.exit_code == 2
    assert "from the run itself; leave it out" in result.stderr


def test_something_must_be_clustered_or_resumed(tmp_path: Path) -> None:
    for arguments in (["photos"], ["-o", "out"]):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "INPUT and -o DIR are needed, or --resume DIR" in result.stderr
    result = run("--resume", tmp_path)
    assert result.exit_code == 1
    assert "no checkpoint to resume from" in result.stderr


def test_a_data_set_wants_its_place(tmp_path: Path) -> None:
    result = run("mnist", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert (
        "mnist: names a data set, which is read from disk; say where it is with --root PATH" in result.stderr
    )


@pytest.mark.parametrize(
    ("source", "words"), [("digits", "1 image (the training part)"), ("x/", "1 image ->")]
)
def test_the_training_part_of_a_data_set_is_called_so(tmp_path: Path, monkeypatch, source, words) -> None:
    one = np.ones((1, 1), np.float32)
    found = Clustering(["0"], np.zeros(1, np.int64), one, one, [])
    monkeypatch.setattr("pixelcluster.cluster.cluster_images.cluster_images", lambda *args, **options: found)
    assert words in run(source, "-o", tmp_path / "out").stdout


def test_a_model_to_predict_with_has_settings_of_its_own() -> None:
    for extra in (["-k", 3], ["--labels", "l.csv"], ["--config", "c.yaml"]):
        result = run("photos", "--predict", "m", "-o", "out", *extra)
        assert result.exit_code == 2
        assert "leave out -k, --labels and --config" in result.stderr


@pytest.mark.parametrize("extra", [["-k", 2], ["--predict", "model"]])
def test_stopped_before_the_first_step_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: list[object]
) -> None:
    monkeypatch.setattr(
        "pixelcluster.cluster.cluster_images.read_input", lambda *a: signal.raise_signal(signal.SIGINT)
    )
    load = "pixelcluster.cluster.estimator.ImageCluster.load"
    monkeypatch.setattr(
        load, lambda *a, **k: SimpleNamespace(model_=SimpleNamespace(settings=ImageSettings()))
    )
    result = run("digits", "-o", tmp_path / "new" / "out", *extra)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "stopped before anything was saved; start again"
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_pixels_is_called_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    for arguments in (
        ["photos", "--predict", tmp_path, "-o", "out"],
        ["photos", "-k", 2, "--predict", tmp_path],
    ):
        result = run(*arguments, "-o", tmp_path / "out")
        assert result.exit_code == 1
        assert "is a model of pixels" in result.stderr


def test_the_table_has_clusters_by_size_with_their_median_margin(capsys) -> None:
    print_image_clusters(np.array([2, 0, 2, 2]), np.array([9, 5, 7, 8], np.float32))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-2:]]
    assert rows == [["2", "3", "75.0%", "8.0"], ["0", "1", "25.0%", "5.0"]]
