from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pixelcluster.config_file import dump_config
from pixelcluster.io.label_map import read_label_map
from pixelcluster.segmenting.estimator import PixelCluster
from tests.synthetic import settings
from tools.eval_coco_stuff import main

FINE = np.array([156, 168, 110], dtype=np.uint8)  # sky, tree, dirt
COLOURS = np.array([(80, 130, 240), (30, 120, 40), (160, 120, 90)])
KEYS = {"acc", "acc_per_seed", "acc_std", "miou", "nmi", "kmeans_rgb_acc", "seconds_per_seed", "n_images"}
KEYS |= {"stack", "config"}


def write(images, labels, stem, seed):
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    classes = np.repeat(rng.permutation(3), [60, 60, 72])[:, None].repeat(192, 1)
    noisy = COLOURS[classes] + rng.normal(0, 15, (192, 192, 3))
    fine = FINE[classes]
    fine[:, :20] = 255
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(images / f"{stem}.png")
    Image.fromarray(fine).save(labels / f"{stem}.png")


@pytest.fixture
def flat(tmp_path):
    for index, stem in enumerate("abc"):
        write(tmp_path / "data/images", tmp_path / "data/labels", stem, index)
    config = settings(targets={"stack": "rgb"}, training={"epochs": 2}, sampler={"inference_rounds": 2})
    (tmp_path / "c.yaml").write_text(dump_config(config))
    return tmp_path


def run(folder, *arguments, root="data"):
    options = ["--root", folder / root, "--json", folder / "out.json", "--seeds", "0,1", *arguments]
    if "--model" not in arguments:
        options += ["--config", folder / "c.yaml"]
    result = CliRunner().invoke(main, [str(option) for option in options])
    report = json.loads((folder / "out.json").read_text()) if (folder / "out.json").exists() else None
    return result, report


def test_json_table_and_maps(flat):
    result, report = run(flat, "--maps", flat / "maps")
    assert result.exit_code == 0, result.output
    assert set(report) >= KEYS
    assert report["acc"] > 90
    assert report["acc"] == pytest.approx(np.mean(report["acc_per_seed"]))
    assert report["acc_std"] == pytest.approx(np.std(report["acc_per_seed"]))
    assert len(report["acc_per_seed"]) == len(report["seconds_per_seed"]) == 2
    assert report["kmeans_rgb_acc"] > 90
    assert (report["n_images"], report["stack"], report["pretrained"]) == (3, "rgb", False)
    assert report["config"]["training"]["epochs"] == 2
    assert "| K-means on pixels |" in result.stdout
    assert "| clustered generator, rgb |" in result.stdout
    assert sorted(path.name for path in (flat / "maps").iterdir()) == ["a.png", "b.png", "c.png"]
    assert read_label_map(flat / "maps" / "a.png").shape == (128, 128)


def test_both_layouts_give_the_same_figures(flat):
    for index, (stem, split) in enumerate(zip("abc", ("train2017", "train2017", "val2017"), strict=True)):
        write(flat / "official" / split, flat / "official/stuffthingmaps" / split, stem, index)
    first, second = (run(flat, root=root)[1] for root in ("data", "official"))
    assert first["n_images"] == second["n_images"] == 3
    assert first["acc_per_seed"] == second["acc_per_seed"]


def test_stack_part_and_image_list(flat):
    result, report = run(flat, "--stack", "rgb+sobel", "--part", "odd")
    assert result.exit_code == 0, result.output
    assert (report["n_images"], report["stack"], report["part"]) == (1, "rgb+sobel", "odd")
    (flat / "list.txt").write_text("a\nc\n")
    assert run(flat, "--image-list", flat / "list.txt")[1]["n_images"] == 2


def test_a_trained_model_is_scored_with_its_own_settings(flat):
    rng = np.random.default_rng(0)
    images = [(COLOURS[[[0, 1, 2]]].repeat(40, 0).repeat(20, 1) + rng.normal(0, 9, (40, 60, 3))) / 255]
    config = settings(targets={"stack": "rgb"}, training={"epochs": 1})
    PixelCluster(4, config=config).fit([i.clip(0, 1) for i in images]).save(flat / "model")
    result, report = run(flat, "--model", flat / "model", "--maps", flat / "maps")
    assert result.exit_code == 0, result.output
    assert report["config"]["n_clusters"] == 4
    assert report["acc"] > 60


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "0,x"], "whole numbers"),
        (["--root", "nowhere"], "not a COCO-Stuff folder"),
        (["--json", "nowhere/out.json"], "no such folder"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--stack", "magic"], "unknown target stack"),
        (["--model", "nowhere", "--stack", "rgb"], "--model fixes the settings"),
        (["--min-coverage", "0.99"], "lower min_coverage"),
    ],
)
def test_problems_end_in_one_line_and_no_file(flat, arguments, words):
    options = ["--root", flat / "data", "--json", flat / "out.json"]
    if "--config" not in arguments and "--model" not in arguments:
        options += ["--config", flat / "c.yaml"]
    result = CliRunner().invoke(main, [str(option) for option in [*options, *arguments]])
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert not (flat / "out.json").exists()
