from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pixelcluster.data.image_sets import load_image_set
from pixelcluster.evaluation.image_level import known_labels
from tests.baselines.image_level.planted import planted
from tools.eval_images import main

KEYS = {
    "acc",
    "acc_per_seed",
    "acc_std",
    "nmi",
    "ari",
    "kmeans_acc",
    "seconds_per_seed",
    "n_images",
    "config",
}


@pytest.fixture
def archive(tmp_path):
    train, train_labels = planted(90)
    test, test_labels = planted(40, seed=1)
    path = tmp_path / "planted.npz"
    np.savez(path, x_train=train, y_train=train_labels, x_test=test, y_test=test_labels)
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_result_has_every_key_and_the_table_both_methods(archive, tmp_path):
    out = tmp_path / "out.json"
    result = run(
        "--data",
        f"npz={archive}",
        "--method",
        "spectral",
        "--seeds",
        "0,1",
        "--limit-train",
        60,
        "--json",
        out,
    )
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert set(report) >= KEYS
    assert report["acc_per_seed"] == [100, 100]
    assert report["kmeans_acc"] == 100
    assert (report["n_images"], report["n_train_images"], report["classes"]) == (40, 60, 3)
    assert "| spectral | 100.0 +- 0.0 | 1.000 | 1.000 |" in result.stdout
    assert "| K-means on pixels | 100.0" in result.stdout


def test_digits_need_no_path():
    result = run("--data", "digits", "--method", "kmeans", "--seeds", "0")
    assert result.exit_code == 0, result.output
    rows = [line.split("|")[2] for line in result.stdout.splitlines()[2:]]
    assert rows[0] == rows[1]
    assert float(rows[0].split("+-")[0]) > 60


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "digits", "--seeds", "0,x"], "whole numbers"),
        (["--data", "mnist=nowhere"], "nowhere"),
        (["--data", "magic=nowhere"], "unknown image set"),
        (["--data", "digits", "--json", "nowhere/out.json"], "no such folder"),
        (["--data", "digits", "--method", "dec", "--config", "x.yaml"], "neither settings"),
        (["--data", "digits", "--method", "kmeans", "--random-start"], "neither settings"),
        (["--data", "digits", "--method", "kmeans", "--samples", "x.png"], "kmeans draws no samples"),
        (["--data", "digits", "--method", "variational", "--samples", "nowhere/x.png"], "no such folder"),
        (["--data", "digits", "--labels-per-class", "9999"], "labels wanted"),
        (["--data", "digits", "--labels-per-class", "1", "--limit-train", "50"], "drop --limit-train"),
    ],
)
def test_problems_end_in_one_line(arguments, words):
    result = run(*arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_known_labels_and_random_starts_are_reported(archive, tmp_path):
    out, config = tmp_path / "out.json", tmp_path / "quick.yaml"
    config.write_text("{side: 16, generator_side: 8, n_factors: 1, iterations: 3, student_epochs: 0}")
    result = run(
        *("--data", f"npz={archive}", "--seeds", "0", "--config", config, "--json", out),
        *("--labels-per-class", 2, "--random-start", "--minutes", "0.1"),
    )
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert report["labels_per_class"] == 2
    assert 33 <= report["acc_from_random_start"] <= 100
    assert 33 <= report["acc_from_random_templates"] <= 100
    assert report["acc_generator_only"] > 33


def test_what_the_clusters_of_variational_clustering_generate_is_drawn(archive, tmp_path):
    picture = tmp_path / "samples.png"
    result = run(
        *("--data", f"npz={archive}", "--method", "variational", "--seeds", "0", "--minutes", "0.01"),
        *("--samples", picture),
    )
    assert result.exit_code == 0, result.output
    side = planted(1)[0].shape[1] + 2
    with Image.open(picture) as sheet:
        assert sheet.size == (10 * side + 2, 3 * side + 2)


def test_labels_are_drawn_from_every_class():
    data = load_image_set("digits", None)
    known = known_labels(data, 3, seed=0)
    assert np.bincount(known[known >= 0]).tolist() == [3] * 10
    assert (known[known >= 0] == data.train_labels[known >= 0]).all()
    assert not np.array_equal(known, known_labels(data, 3, seed=1))
