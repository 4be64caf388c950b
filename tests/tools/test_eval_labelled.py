"""The tools of Potsdam, CMP Facades and labelled folders, on files of their layouts."""

from __future__ import annotations

import json
from importlib import import_module

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

from pixelcluster.config_file import dump_config
from pixelcluster.io.label_map import read_label_map
from tests.synthetic import settings

COLOURS = np.array([(80, 130, 240), (30, 120, 40), (160, 120, 90)])
POTSDAM = np.array([(255, 255, 255), (0, 0, 255), (0, 255, 0)], np.uint8)  # the three classes' first colours


def bands(height, width, seed):
    """Three noisy colours in horizontal bands, and their ids."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(3)[np.arange(height) * 3 // height][:, None].repeat(width, 1).astype(np.uint8)
    noisy = COLOURS[ids] + rng.normal(0, 12, (height, width, 3))
    return noisy.clip(0, 255).astype(np.uint8), ids


def potsdam(root):
    for seed, tile in enumerate(("2_10", "2_13")):
        pixels, ids = bands(400, 400, seed)
        pixels = np.concatenate([pixels, pixels[..., :1]], axis=2)
        name = f"top_potsdam_{tile}"
        tifffile.imwrite(root / f"{name}_RGBIR.tif", pixels, photometric="rgb", extrasamples=["unspecified"])
        tifffile.imwrite(root / f"{name}_label.tif", POTSDAM[ids], photometric="rgb")


def flat(root, table):
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for seed, stem in enumerate("ab"):
        pixels, ids = bands(96, 96, seed)
        Image.fromarray(pixels).save(root / "images" / f"{stem}.png")
        Image.fromarray(table[ids]).save(root / "labels" / f"{stem}.png")


def facades(root):
    flat(root, np.array([1, 2, 4], np.uint8))  # facade, window, cornice


def folder(root):
    flat(root, np.array([0, 100, 200], np.uint8))


CASES = [
    ("eval_potsdam", potsdam, ["--classes", "3"], (200, 200), 3),
    ("eval_facades", facades, ["--classes", "4"], (256, 256), 4),
    ("eval_folder", folder, ["--max-side", "64"], (64, 64), 3),
]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        dump_config(
            settings(targets={"stack": "rgb"}, training={"epochs": 2}, sampler={"inference_rounds": 2})
        )
    )
    return path


@pytest.mark.parametrize(("tool", "write", "arguments", "size", "classes"), CASES)
def test_every_tool_writes_the_same_keys(tmp_path, config, tool, write, arguments, size, classes):
    root = tmp_path / "data"
    root.mkdir()
    write(root)
    options = ["--root", root, "--config", config, "--seeds", "0", *arguments]
    options += ["--json", tmp_path / "out.json", "--maps", tmp_path / "maps"]
    result = CliRunner().invoke(import_module(f"tools.{tool}").main, [str(option) for option in options])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out.json").read_text())
    keys = {"acc", "acc_per_seed", "acc_std", "miou", "nmi", "kmeans_rgb_acc", "majority_acc"}
    assert set(report) >= keys | {"seconds_per_seed", "n_images", "stack", "config", "data", "class_names"}
    assert (report["n_images"], report["classes"]) == (2, classes)
    assert report["acc"] > 60 > report["majority_acc"] > 30
    assert "| K-means on pixels |" in result.stdout
    assert all(read_label_map(path).shape == size for path in (tmp_path / "maps").iterdir())


@pytest.mark.parametrize("tool", ["eval_potsdam", "eval_facades", "eval_folder"])
def test_a_wrong_folder_is_one_line(tmp_path, tool):
    result = CliRunner().invoke(import_module(f"tools.{tool}").main, ["--root", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "wanted" in result.stderr
    assert result.stderr.count("\n") == 1
