"""The commands from the outside, on files."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import pixelcluster.cluster.settings as settings_module
from pixelcluster.cli.main import cli
from pixelcluster.cluster.cluster_images import cluster_images
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.cluster.source import read_labels
from pixelcluster.cluster.storage import load_images_model
from pixelcluster.errors import PixelClusterError
from tests.cluster.conftest import planted


def read_rows(output: Path) -> list[dict[str, str]]:
    """Return the assignments of a run."""
    return list(csv.DictReader((output / "assignments.csv").read_text().splitlines()))


def size_of(picture: Path) -> tuple[int, int]:
    """Return width and height of a picture file."""
    with Image.open(picture) as image:
        return image.size


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 planted images and one file that is none."""
    path = tmp_path_factory.mktemp("shapes")
    for index, image in enumerate(planted(45)[0]):
        Image.fromarray(image[..., 0]).save(path / f"{index:02d}.png")
    return path


@pytest.fixture(scope="module")
def clustered(folder: Path, tmp_path_factory: pytest.TempPathFactory, quick: ImageSettings) -> Path:
    """The results of `pixelcluster cluster` on the folder."""
    output = tmp_path_factory.mktemp("results") / "out"
    with pytest.MonkeyPatch.context() as patch:
        fields = {**quick.model_dump(), "iterations": 20, "student_epochs": 1}
        patch.setattr("pixelcluster.cluster.estimator.ImageSettings", lambda: ImageSettings(**fields))
        patch.setattr(settings_module, "ImageSettings", lambda: ImageSettings(**fields))
        result = CliRunner().invoke(cli, ["cluster", str(folder), "-k", "3", "-o", str(output)])
    assert result.exit_code == 0, result.output
    assert "45 images" in result.output
    return output


def test_everything_is_written(clustered: Path) -> None:
    """CSV and npz agree; there is a sheet a cluster and a grid of generated images."""
    rows = read_rows(clustered)
    with np.load(clustered / "assignments.npz") as arrays:
        assert [row["id"] for row in rows] == arrays["id"].tolist()
        assert [int(row["cluster"]) for row in rows] == arrays["cluster"].tolist()
        np.testing.assert_allclose(arrays["probability"].sum(1), 1, atol=1e-5)
        np.testing.assert_allclose([float(row["margin"]) for row in rows], arrays["margin"], atol=1e-5)
        assert len(arrays["latent"]) == 45
        n_filled = len(set(arrays["cluster"].tolist()))
    assert len(list((clustered / "sheets").glob("cluster_*.png"))) == n_filled
    assert size_of(clustered / "generated.png")[0] > 100


def test_predict_generate_and_refusals(clustered: Path, folder: Path, tmp_path: Path) -> None:
    """A model infers the same images, draws its figure, and nothing is replaced unasked."""
    runner = CliRunner()
    model = str(clustered / "model")
    again = runner.invoke(cli, ["cluster", str(folder), "--predict", model, "-o", str(tmp_path / "new")])
    assert again.exit_code == 0, again.output
    first, second = ([row["cluster"] for row in read_rows(path)] for path in (clustered, tmp_path / "new"))
    assert np.mean(np.array(first) == np.array(second)) > 0.9
    refused = runner.invoke(cli, ["cluster", str(folder), "--predict", model, "-o", str(tmp_path / "new")])
    assert refused.exit_code == 1
    assert "exists already" in refused.stderr
    grid = tmp_path / "grid.png"
    for options in (
        [],
        ["--rows", "y", "--cols", "sweep", "--direction", "2"],
        ["--rows", "y", "--cols", "z"],
    ):
        drawn = runner.invoke(cli, ["generate", model, "-o", str(grid), "--overwrite", *options])
        assert drawn.exit_code == 0, drawn.output
        assert size_of(grid)[1] > 50
    wrong = runner.invoke(cli, ["generate", model, "-o", str(grid), "--overwrite", "--rows", "y"])
    assert wrong.exit_code == 2
    far = runner.invoke(
        cli,
        [
            "generate",
            model,
            "-o",
            str(tmp_path / "g.png"),
            "--rows",
            "y",
            "--cols",
            "sweep",
            "--direction",
            "999",
        ],
    )
    assert far.exit_code == 1
    assert "choose one" in far.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nowhere/"], "nowhere"),
        (["mnist", "--root", "nowhere"], "nowhere"),
        (["bad.npz"], "is no npz file"),
        (["dot", "--labels", "pipe.csv"], "not a regular file"),
        (["pipe.npz"], "not a regular file"),
        (["dot", "--max-pixels", "24"], "over the cap"),
    ],
)
def test_bad_input_ends_in_a_line(
    arguments: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 1, one line, no results."""
    monkeypatch.chdir(tmp_path)
    Path("bad.npz").write_bytes(b"PK\x03\x04nonsense")
    os.mkfifo("pipe.npz")  # opening it would wait for ever
    os.mkfifo("pipe.csv")
    Path("dot").mkdir()
    Image.new("L", (5, 5)).save("dot/dot.png")
    result = CliRunner().invoke(cli, ["cluster", *arguments, "-k", "3", "-o", "out"])
    assert result.exit_code == 1
    assert problem in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(Path("out").glob("*"))


def test_labels_file(tmp_path: Path) -> None:
    """Ids by path or by name; what is wrong is named by its line."""
    path = tmp_path / "labels.csv"
    path.write_text("id,label\na.png,2\nsub/b.png,0\n")
    assert read_labels(path, ["sub/a.png", "sub/b.png", "c.png"]).tolist() == [2, 0, -1]
    path.write_text("a.png,2\nzebra.png,1\n")
    with pytest.raises(PixelClusterError, match=r"line 2 names 'zebra\.png'"):
        read_labels(path, ["a.png"])
    path.write_text("a.png,cat\n")
    with pytest.raises(PixelClusterError, match="wanted id,label"):
        read_labels(path, ["a.png"])


def test_settings_come_from_a_file_and_options_win(folder: Path, tmp_path: Path) -> None:
    """What is given beats the file, the file the defaults; a wrong key is named with its line."""
    config = tmp_path / "mine.yaml"
    config.write_text("n_clusters: 2\niterations: 3\nside: 12\nstudent_epochs: 0\nchains: shared\n")

    def settings_of(name: str, *options: str) -> ImageSettings:
        output = tmp_path / name
        arguments = ["cluster", str(folder), "-o", str(output), "--config", str(config), *options]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        return load_images_model(output / "model", torch.device("cpu")).settings

    assert settings_of("file").model_dump() == {
        **ImageSettings().model_dump(),
        **{"n_clusters": 2, "iterations": 3, "side": 12, "student_epochs": 0, "chains": "shared"},
    }
    assert settings_of("option", "-k", "3").n_clusters == 3
    config.write_text("iterations: 3\nchain: shared\n")
    wrong = CliRunner().invoke(
        cli, ["cluster", str(folder), "-o", str(tmp_path / "x"), "--config", str(config)]
    )
    assert wrong.exit_code == 1
    assert "mine.yaml, line 2: unknown key chain; did you mean chains?" in wrong.stderr
    assert not (tmp_path / "x").exists()


def test_sheets_of_an_earlier_run_are_refused_then_replaced(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", planted(40)[0])
    config, old = tmp_path / "mine.yaml", tmp_path / "out" / "sheets" / "cluster_07.png"
    config.write_text("iterations: 2\nside: 12\nstudent_epochs: 0\n")
    old.parent.mkdir(parents=True)
    old.write_bytes(b"of eight clusters")

    def run(*, overwrite: bool) -> None:
        source, output = str(tmp_path / "in.npz"), tmp_path / "out"
        cluster_images(source, output, n_clusters=2, config=config, overwrite=overwrite)

    with pytest.raises(PixelClusterError, match=r"sheets/cluster_07\.png: exists already"):
        run(overwrite=False)
    run(overwrite=True)
    assert {path.name for path in old.parent.iterdir()} <= {"cluster_00.png", "cluster_01.png"}


def test_a_file_that_leaves_the_number_of_clusters_out_leaves_it_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, asked = tmp_path / "mine.yaml", []
    config.write_text("iterations: 3\n")

    class Asked(Exception):
        """Ends the run where the fit would begin."""

    def init(self: object, n_clusters: object, **options: object) -> None:
        asked.append(n_clusters)
        raise Asked

    monkeypatch.setattr("pixelcluster.cluster.estimator.ImageCluster.__init__", init)
    for given in (None, config):
        with pytest.raises(Asked):
            cluster_images("in", tmp_path / "out", config=given)
    assert asked == ["auto", "auto"]
