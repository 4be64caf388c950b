from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tools.eval_regions import main


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    quarters = np.zeros((40, 40), np.uint8)
    quarters[:20, 20:], quarters[20:, :20], quarters[20:, 20:] = 1, 2, 3
    colours = np.array([(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)], np.uint8)
    for stem in ("a", "b"):
        Image.fromarray(colours[quarters]).save(tmp_path / "images" / f"{stem}.png")
        Image.fromarray(quarters).save(tmp_path / "labels" / f"{stem}_0.png")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_it_prints_a_table_and_writes_every_figure(root):
    out = root / "out.json"
    result = run("--root", root, "--json", out, "--methods", "cv2-kmeans,felzenszwalb", "--limit", 1)
    assert result.exit_code == 0, result.output
    assert "| method | PRI | VoI (bits) |" in result.stdout
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["n_images"] == 1
    assert list(report["methods"]) == ["cv2-kmeans", "felzenszwalb"]
    kmeans = report["methods"]["cv2-kmeans"]
    # Six clusters on four colours: the surplus two hold a pixel each.
    assert (kmeans["pri"], kmeans["voi"], kmeans["covering"]) == pytest.approx((1, 0, 1), abs=0.02)
    assert {"seconds", "seconds_median", "pri_std", "miou", "raw_labels"} <= set(kmeans)
    assert list(kmeans["per_image"]) == ["a"]


def test_an_image_list_chooses_the_images(root):
    (root / "list.txt").write_text("b\n", encoding="utf-8")
    out = root / "out.json"
    result = run("--root", root, "--json", out, "--methods", "cv2-kmeans", "--image-list", root / "list.txt")
    assert result.exit_code == 0, result.output
    assert list(json.loads(out.read_text())["methods"]["cv2-kmeans"]["per_image"]) == ["b"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--methods": "cv2-kmeans,magic"}, "not among"),
        ({"--root": "nowhere"}, "no such folder"),
        ({"--json": "nowhere/out.json"}, "no such folder"),
    ],
)
def test_problems_end_in_one_line_and_no_file(root, changes, message):
    out = root / "out.json"
    options = {"--root": root, "--json": out, "--methods": "cv2-kmeans"} | changes
    result = run(*(part for pair in options.items() for part in pair))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not out.exists()
