from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from pixelcluster.cli.main import cli
from pixelcluster.cli.tables import print_clusters
from pixelcluster.io.label_map import read_label_map
from pixelcluster.segmenting.segmentation import ClusterRow, Segmentation

pytestmark = pytest.mark.usefixtures("fake_single")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["segment", *map(str, arguments)])


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def assert_one_line_error(result: Result, *words: str) -> None:
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in result.output
    for word in words:
        assert word in errors[0]


def test_defaults_write_next_to_the_input(photo: Callable[..., Path], tmp_path: Path) -> None:
    result = run(photo(), "-k", 4)
    assert result.exit_code == 0
    assert files(tmp_path) == ["photo.png", "photo_labels.png", "photo_overlay.png"]
    assert "25.0 %" in result.stdout
    assert "#ff0000" in result.stdout
    assert result.stderr == ""
    assert len(np.unique(read_label_map(tmp_path / "photo_labels.png"))) == 4


def test_every_output_into_a_new_folder(photo: Callable[..., Path], tmp_path: Path) -> None:
    result = run(photo(), "-o", tmp_path / "a" / "b", "--probabilities", "--entropy", "--format", "tif")
    assert result.exit_code == 0, result.output
    assert files(tmp_path / "a" / "b") == [
        "photo_entropy.png",
        "photo_labels.tif",
        "photo_overlay.png",
        "photo_probabilities.npz",
    ]


def test_one_file_as_output(photo: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    assert run(photo(), "-o", tmp_path / "o" / "map.npz", "--probabilities").exit_code == 0
    assert files(tmp_path / "o") == ["map.npz", "map_overlay.png"]
    with np.load(tmp_path / "o" / "map.npz") as arrays:
        assert arrays["probabilities"].shape == (4, 40, 60)
    assert_one_line_error(run(photo("a.png"), photo("b.png"), "-o", tmp_path / "m.png"), "several images")
    assert_one_line_error(run(photo(), "-o", tmp_path / "m.png", "--format", "tif"), "--format")
    assert_one_line_error(run(photo(), "-o", tmp_path / "m.jpg"), ".jpg")


def test_json_is_the_only_thing_on_stdout(photo: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "bad.png").touch()
    result = run(photo(), tmp_path / "bad.png", "--json", "-k", 9)
    good, bad = json.loads(result.stdout)
    assert result.exit_code == 1
    assert good["n_clusters"] == 4
    assert sum(good["shares"]) == pytest.approx(1)
    assert [Path(p).name for p in good["outputs"]] == ["photo_labels.png", "photo_overlay.png"]
    assert set(good["mean_colours"]) == {"#ff0000", "#00ff00", "#0000ff", "#ffffff"}
    assert good["seconds"] > 0
    assert "asked for 9 clusters" in good["warnings"][0]
    assert "0 bytes" in bad["error"]


def test_too_many_clusters_warns_on_one_line(photo: Callable[..., Path]) -> None:
    result = run(photo(), "-k", 9)
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: ")
    assert len(result.stderr.splitlines()) == 1


def test_existing_outputs_need_overwrite(photo: Callable[..., Path], tmp_path: Path) -> None:
    assert run(photo(), "-k", 2).exit_code == 0
    before = (tmp_path / "photo_labels.png").read_bytes()
    assert_one_line_error(run(photo(), "-k", 4), "photo_labels.png", "--overwrite")
    assert (tmp_path / "photo_labels.png").read_bytes() == before
    assert run(photo(), "-k", 4, "--overwrite").exit_code == 0
    assert (tmp_path / "photo_labels.png").read_bytes() != before


def test_the_input_is_never_replaced(photo: Callable[..., Path]) -> None:
    path = photo()
    before = path.read_bytes()
    assert_one_line_error(run(path, "-o", path, "--overwrite"), "is an input")
    assert path.read_bytes() == before


def test_same_stems_do_not_meet(photo: Callable[..., Path], tmp_path: Path) -> None:
    result = run(photo("a/x.png"), photo("b/x.png"), photo("a/x.bmp"), "-o", tmp_path / "out", "--no-overlay")
    assert result.exit_code == 0, result.output
    assert files(tmp_path / "out") == ["x_bmp_labels.png", "x_png-1_labels.png", "x_png-2_labels.png"]


def test_a_folder_goes_on_past_bad_files(photo: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("in/a.png", "in/sub/z.png"):
        photo(name)
    (tmp_path / "in" / "b.png").write_bytes((tmp_path / "in" / "a.png").read_bytes()[:60])
    (tmp_path / "in" / "c.jpg").touch()
    result = run(tmp_path / "in", "-o", tmp_path / "out", "--no-overlay")
    assert result.exit_code == 1
    assert files(tmp_path / "out") == ["a_labels.png", "sub/z_labels.png"]
    assert "b.png" in result.stderr
    assert "c.jpg" in result.stderr
    assert result.stderr.splitlines()[-1] == "2 of 4 inputs failed"


def test_a_second_run_does_not_take_its_own_outputs_for_images(
    photo: Callable[..., Path], tmp_path: Path
) -> None:
    photo("in/a.png")
    photo("in/real_labels.png")  # a user's picture that only looks like ours by name
    for _ in range(2):
        assert run(tmp_path / "in", "--overwrite", "--entropy").exit_code == 0
    assert len(files(tmp_path / "in")) == 2 + 2 * 3


def test_empty_and_missing_inputs(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_one_line_error(run(tmp_path / "empty"), "no image")
    assert_one_line_error(run(tmp_path / ("x" * 300 + ".png")), "cannot be opened")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert_one_line_error(run(tmp_path / "loop.png"), "cannot be opened")
    (tmp_path / "loop.png").unlink()
    assert_one_line_error(run(tmp_path / "gone.png", "-o", tmp_path / "out"), "gone.png", "no such file")
    assert not (tmp_path / "out").exists()


def broken_inputs(folder: Path) -> dict[str, str]:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.png")
    (folder / "truncated.png").write_bytes((folder / "whole.png").read_bytes()[:5000])
    Image.fromarray(noise).save(folder / "truncated.jpg")
    (folder / "truncated.jpg").write_bytes((folder / "truncated.jpg").read_bytes()[:900])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("not an image")
    frames = [Image.new("L", (8, 8), i * 60) for i in range(3)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.full((4, 4), np.nan, dtype=np.float32)).save(folder / "nan.tif")
    (folder / "folder.png").mkdir()
    return {
        "missing.png": "no such file",
        "truncated.png": "truncated",
        "truncated.jpg": "truncated",
        "empty.png": "0 bytes",
        "text.png": "not an image",
        "moving.gif": "3 frames",
        "nan.tif": "NaN",
        "folder.png": "no image",
        "whole.png": "--max-pixels",
    }


def test_every_bad_input_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    for name, word in broken_inputs(tmp_path).items():
        before = files(tmp_path)
        assert_one_line_error(run(tmp_path / name, "--max-pixels", 64 * 64 - 1), name, word)
        assert files(tmp_path) == before, name


def unusual_inputs(folder: Path) -> list[Path]:
    rng = np.random.default_rng(1)
    colour = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    images = {
        "cmyk.jpg": colour.convert("CMYK"),
        "palette.png": colour.quantize(7),
        "rgba.png": colour.convert("RGBA"),
        "grey_alpha.png": colour.convert("LA"),
        "one_bit.png": colour.convert("1"),
        "sixteen.png": Image.fromarray(rng.integers(0, 2**16, (24, 32), dtype=np.uint16)),
        "float.tif": Image.fromarray(rng.random((24, 32), dtype=np.float32)),
        "1x1.png": Image.new("RGB", (1, 1), (9, 9, 9)),
        "wide.png": Image.fromarray(rng.integers(0, 256, (1, 5000, 3), dtype=np.uint8)),
        "tall.png": Image.fromarray(rng.integers(0, 256, (5000, 1, 3), dtype=np.uint8)),
        "constant.png": Image.new("RGB", (32, 24), (50, 60, 70)),
    }
    for name, image in images.items():
        image.save(folder / name)
    return [folder / name for name in images]


def test_unusual_inputs_are_segmented(tmp_path: Path) -> None:
    paths = unusual_inputs(tmp_path)
    result = run(*paths, "-o", tmp_path / "out", "--probabilities", "--entropy")
    assert result.exit_code == 0, result.output
    assert len(files(tmp_path / "out")) == 4 * len(paths)
    for path in paths:
        with Image.open(path) as image:
            assert read_label_map(tmp_path / "out" / f"{path.stem}_labels.png").shape == image.size[::-1]


def test_read_only_folder(
    photo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photo()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert_one_line_error(run(path), "not writable", "-o")
    assert files(tmp_path) == ["photo.png"]


def test_a_failed_write_takes_its_sisters_with_it(
    photo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photo()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pixelcluster.segmenting.runs.batch.encode_entropy", full_disk)
    assert_one_line_error(run(path, "--entropy"), "No space left")
    assert files(tmp_path) == ["photo.png"]


def test_contradicting_options(photo: Callable[..., Path], tmp_path: Path) -> None:
    assert_one_line_error(run(photo(), "--model", tmp_path, "-k", 3), "-k")
    assert_one_line_error(run(photo(), "--model", tmp_path, "--stack", "rgb"), "--stack")
    for bad in ("0", "-3", "many"):
        assert run(photo(), "-k", bad).exit_code == 2


def test_line_breaks_in_names(photo: Callable[..., Path], tmp_path: Path) -> None:
    assert_one_line_error(run(tmp_path / "two\nlines.png"), r"two\nlines.png")
    result = run(photo("a\nb.png"), "--no-overlay")
    assert result.exit_code == 0
    assert r"a\nb.png" in result.stdout


def test_looks_of_the_overlay(photo: Callable[..., Path], tmp_path: Path) -> None:
    path, overlay = photo(), tmp_path / "photo_overlay.png"
    (tmp_path / "p.txt").write_text("0 0 9\n" * 3 + "9 0 0\n")
    result = run(path, "-k", 4, "--no-legend", "--opacity", 1, "--palette", tmp_path / "p.txt")
    assert result.exit_code == 0, result.output
    with Image.open(overlay) as picture:
        assert picture.size == (60, 40)
        assert {(0, 0, 9), (9, 0, 0)} < {colour for _, colour in picture.getcolors()}
    result = run(path, "-k", 4, "--palette", "mean", "--no-legend", "--opacity", 0, "--overwrite")
    assert result.exit_code == 0, result.output
    with Image.open(overlay) as picture:
        assert (255, 0, 0) in {colour for _, colour in picture.getcolors()}
    assert_one_line_error(run(path, "--palette", "rainbow", "--overwrite"), "rainbow: no such palette")


def test_a_stack_says_that_it_is_slow(photo: Callable[..., Path]) -> None:
    assert_one_line_error(run(photo(), "--stack", "rgb", "--mode", "fast"), "mode fast", "no stack")
    result = run(photo(), "--stack", "rgb", "-k", 1)  # one cluster fits nothing
    assert result.exit_code == 0, result.output
    assert result.stderr == (
        "note: --stack without --model fits the whole model to each picture, as --mode exact\n"
    )


def test_a_long_table_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [ClusterRow(i, 100 - i, 0.01, "#000000") for i in range(43)]
    print_clusters(rows)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 40 + 1
    assert lines[-1] == "... and 3 more; --json has all"


def test_clusters_without_pixels_are_not_listed(photo: Callable[..., Path], monkeypatch) -> None:
    row = ClusterRow(5, 0, 0.0, "", "ghost")
    monkeypatch.setattr(Segmentation, "table", lambda self: [ClusterRow(0, 9, 1.0, "#ff0000"), row])
    result = run(photo())
    assert "ghost" not in result.stdout
    assert "1 cluster in" in result.stdout
