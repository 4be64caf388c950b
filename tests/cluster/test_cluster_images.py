"""The commands from the outside, on files."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import pixelcluster.cluster.settings as settings_module
from pixelcluster.cli.main import cli
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.cluster.source import read_labels
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
