from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tools.check_data import main


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / name / "a.png")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_counts_and_shares(folder):
    result = run("folder", folder)
    assert result.exit_code == 0, result.output
    assert "1 images" in result.stdout
    assert "100.0%  1" in result.stdout
    digits = run("digits")
    assert "1,437 images to fit on, 360 to score, 8 x 8 px, 1 channel\n" in digits.stdout
    assert "train: 0 10.0%" in digits.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [("coco-stuff-15", "label id"), ("mnist", "no train-images"), ("potsdam-6", "no tiles of Potsdam")],
)
def test_what_is_wrong_is_one_line(folder, name, words):
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(folder / "labels" / "a.png")
    result = run(name, folder)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_path_is_needed():
    result = run("facades-4")
    assert result.exit_code == 1
    assert "no path given" in result.stderr
