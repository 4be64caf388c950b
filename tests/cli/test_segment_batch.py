"""Whole folders: shares of a job array, runs that go on, and the report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pixelcluster.cli.main import cli
from pixelcluster.io.label_map import read_label_map
from pixelcluster.io.read import list_images
from pixelcluster.segmenting.method import Segmenter
from pixelcluster.segmenting.segmentation import Segmentation
from tests.disks import contents, fill_up


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["segment", *map(str, arguments)])


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def scans(photo: Callable[..., Path], tmp_path: Path) -> Path:
    for name in ("b/x.png", "a.png", "a.bmp", "c.png", "d.png"):
        photo(f"scans/{name}")
    return tmp_path / "scans"


@pytest.mark.usefixtures("fake_single")
def test_shards_together_are_the_whole(scans: Path, tmp_path: Path) -> None:
    assert run(scans, "-o", tmp_path / "whole").exit_code == 0
    seen: list[list[str]] = []
    for number in (1, 2, 3):
        result = run(scans, "-o", tmp_path / "parts", "--shard", f"{number}/3", "--json")
        assert result.exit_code == 0, result.output
        seen.append([facts["input"] for facts in json.loads(result.stdout)])
    assert [len(part) for part in seen] == [2, 2, 1]
    assert len({name for part in seen for name in part}) == 5
    assert names(tmp_path / "parts") == names(tmp_path / "whole")  # a.png and a.bmp are told apart in both


@pytest.mark.usefixtures("fake_single")
def test_a_shard_may_be_empty(scans: Path, tmp_path: Path) -> None:
    result = run(scans / "c.png", "-o", tmp_path / "out", "--shard", "2/2")
    assert result.exit_code == 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "shard", ["0/3", "4/3", "1/0", "1", "1/", "/3", "-1/3", "1/3/3", "a/b", "¹/²", " 1/3"]
)
def test_a_bad_shard_is_a_usage_error(shard: str) -> None:
    result = run("x.png", "--shard", shard)
    assert result.exit_code == 2
    assert "--shard" in result.stderr


@pytest.mark.usefixtures("fake_single")
def test_inputs_of_other_shards_are_not_replaced(photo: Callable[..., Path], tmp_path: Path) -> None:
    first, second = photo("a.png"), photo("a_labels.png")  # the name the labels of a.png would get
    before = second.read_bytes()
    result = run(first, second, "--overwrite", "--shard", "1/2")
    assert result.exit_code == 1
    assert "is an input" in result.stderr
    assert second.read_bytes() == before


@pytest.mark.usefixtures("fake_single")
def test_finished_inputs_are_skipped(scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(scans, "-o", out, "--shard", "1/2").exit_code == 0
    done = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert run(scans, "-o", out).exit_code == 1  # without the option they are in the way
    result = run(scans, "-o", out, "--skip-existing")
    assert result.exit_code == 0, result.output
    assert "5 inputs skipped" in run(scans, "-o", out, "--skip-existing").stdout
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert len(names(out)) == 10
    facts = json.loads(run(scans, "-o", out, "--skip-existing", "--json").stdout)
    assert [entry["skipped"] for entry in facts] == [True] * 5


@pytest.mark.usefixtures("fake_single")
def test_inputs_done_before_are_counted_apart_from_bad_ones(scans: Path, tmp_path: Path) -> None:
    (scans / "bad.png").touch()
    assert run(scans, "-o", tmp_path / "out").exit_code == 1
    again = run(scans, "-o", tmp_path / "out")
    assert again.exit_code == 1
    assert "1 of 6 inputs failed\n" in again.stderr
    assert "5 of 6 inputs have their outputs already; --skip-existing passes over them" in again.stderr
    assert again.stderr.count("exists already") == 1  # one of the five, as an example


@pytest.mark.usefixtures("fake_single")
def test_ctrl_c_says_how_many_are_done(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Segmenter.image

    def image(self: Segmenter, source: Path) -> Segmentation:
        if source.name == "d.png":
            signal.raise_signal(signal.SIGINT)
        return whole(self, source)

    monkeypatch.setattr(Segmenter, "image", image)
    result = run(scans, "-o", tmp_path / "out")
    assert result.exit_code == 130
    assert result.stderr == "interrupted: 3 of 5 inputs done; go on with --skip-existing\n"
    assert "3 of 5 inputs skipped" in run(scans, "-o", tmp_path / "out", "--skip-existing").stdout


@pytest.mark.usefixtures("fake_single")
def test_half_a_set_of_outputs_is_no_finished_one(scans: Path, tmp_path: Path) -> None:
    source, out = scans / "c.png", tmp_path / "out"
    assert run(source, "-o", out).exit_code == 0
    (out / "c_labels.png").unlink()
    result = run(source, "-o", out, "--skip-existing")
    assert result.exit_code == 1
    assert "c_overlay.png" in result.stderr
    assert "0 of 1 inputs skipped" in result.stdout
    assert run(source, "-o", out, "--skip-existing", "--overwrite").exit_code == 0
    assert names(out) == ["c_labels.png", "c_overlay.png"]


@pytest.mark.usefixtures("fake_single")
@pytest.mark.parametrize("listed", [False, True])
def test_a_set_killed_while_it_is_replaced_is_made_again(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    (tmp_path / "l.txt").write_text(str(scans / "c.png"))
    arguments = (tmp_path / "l.txt" if listed else scans / "c.png", "-o", tmp_path / "out")
    assert run(*arguments, "-k", 2).exit_code == 0
    (labels,) = (tmp_path / "out").rglob("*_labels.png")
    rename = os.replace

    def killed(*paths: Path) -> None:
        rename(*paths)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        assert run(*arguments, "-k", 4, "--overwrite").exit_code == 130
    assert not labels.exists()
    result = run(*arguments, "-k", 4, "--overwrite", "--skip-existing")
    assert result.exit_code == 0, result.output
    assert read_label_map(labels).max() == 3


@pytest.mark.usefixtures("fake_single")
def test_a_full_disk_leaves_the_old_set(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    assert run(scans / "c.png", "-o", out, "-k", 2).exit_code == 0
    before = contents(sorted(out.iterdir()))
    fill_up(monkeypatch, 2)
    result = run(scans / "c.png", "-o", out, "-k", 4, "--overwrite")
    assert result.exit_code == 1
    assert "No space left" in result.stderr
    assert contents(sorted(out.iterdir())) == before


@pytest.mark.usefixtures("fake_single")
def test_report_of_a_folder_with_a_bad_file(scans: Path, tmp_path: Path) -> None:
    (scans / "bad.png").touch()
    report = tmp_path / "out" / "report.html"
    result = run(scans, "-o", tmp_path / "out", "-k", 4, "--entropy", "--report", report)
    assert result.exit_code == 1
    assert f"report -> {report}" in result.stdout
    text = report.read_text(encoding="utf-8")
    assert "6 inputs: 5 shown below, 0 without pictures, 1 failed." in text
    assert text.count('class="slider"') == 5
    assert text.count('alt="entropy') == 5
    assert text.count("0 bytes") == 1
    assert text.count("25 %") == 20


@pytest.mark.usefixtures("fake_single")
def test_report_of_a_run_that_had_nothing_to_do(scans: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out", tmp_path / "r.html"
    assert run(scans, "-o", out).exit_code == 0
    assert run(scans, "-o", out, "--skip-existing", "--report", report, "--seed", 7).exit_code == 0
    text = report.read_text(encoding="utf-8")
    assert text.count("skipped: its outputs existed") == 5
    assert '<th scope="row">seed</th><td>7</td>' in text


def test_report_of_a_raster(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    from tests.rasters import planted, write_scene

    write_scene(tmp_path / "scene.tif", planted(120, 150), 5, dtype="uint16", nodata=0)
    report = tmp_path / "r.html"
    result = run(tmp_path / "scene.tif", "-k", 4, "--no-overlay", "--bands", "1,2,3", "--report", report)
    assert result.exit_code == 0, result.output
    text = report.read_text(encoding="utf-8")
    assert text.count('class="slider"') == 1
    assert text.count('width="150" height="120"') == 2
    assert '<th scope="row">bands</th><td>1, 2, 3</td>' in text


def test_a_finished_raster_with_polygons_is_skipped(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    from tests.rasters import planted, write_scene

    write_scene(tmp_path / "scene.tif", planted(40, 50), 3, dtype="uint8")
    arguments = (tmp_path / "scene.tif", "-k", 4, "--polygons", tmp_path / "p.geojson")
    assert run(*arguments).exit_code == 0
    assert run(*arguments).exit_code == 1
    assert "1 of 1 inputs skipped" in run(*arguments, "--skip-existing").stdout


@pytest.mark.usefixtures("fake_single")
def test_report_is_refused_before_any_work(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text("mine")
    for report, word in (("r.html", "--overwrite"), ("r.txt", ".html")):
        result = run(scans, "-o", tmp_path / "out", "--report", tmp_path / report)
        assert result.exit_code == 1
        assert word in result.stderr
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "r.html").read_text() == "mine"


def test_a_plain_report_imports_no_torch(photo: Callable[..., Path], tmp_path: Path) -> None:
    code = (
        "import sys; from pixelcluster.cli.main import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    report = tmp_path / "r.html"
    command = [sys.executable, "-c", code, "segment", str(photo()), "-k", "2", "--report", str(report)]
    subprocess.run(command, capture_output=True, check=True)
    text = report.read_text(encoding="utf-8")
    assert ">numpy<" in text
    assert ">torch<" not in text


@pytest.mark.usefixtures("fake_single")
def test_paths_are_resolved_once_each(
    photo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved, real = [], os.path.realpath
    monkeypatch.setattr("os.path.realpath", lambda path, **k: resolved.append(path) or real(path, **k))
    for number in range(20):
        photo(f"in/{number}.png")
    assert run(tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    assert len(resolved) <= 12 * 20


@pytest.mark.usefixtures("fake_single")
@pytest.mark.parametrize("listed", [False, True])
def test_a_surprise_costs_one_file(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    whole = Segmenter.image

    def image(self: Segmenter, source: Path) -> Segmentation:
        if source.name == "c.png":
            raise ZeroDivisionError("inner\ndetails")
        return whole(self, source)

    monkeypatch.setattr(Segmenter, "image", image)
    (tmp_path / "l.txt").write_text("\n".join(str(path) for path in sorted(scans.rglob("*.*"))))
    result = run(tmp_path / "l.txt" if listed else scans, "-o", tmp_path / "out")
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    assert "c.png: ZeroDivisionError: inner details" in result.stderr
    assert "1 of 5 inputs failed" in result.stderr
    assert len(list((tmp_path / "out").rglob("*_labels.png"))) == 4


@pytest.mark.usefixtures("fake_single")
def test_our_own_files_are_no_photographs(photo: Callable[..., Path], tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert run(photo("own/p.png"), "--entropy").exit_code == 0
    for kind in ("picture", "masks", "png16"):
        arguments = ["export", str(own / "p_labels.png"), "-o", str(own), "--format", kind]
        assert CliRunner().invoke(cli, arguments).exit_code == 0
    photo("own/room_ids.png")  # named as ours, but without our mark
    assert len(names(own)) == 11
    assert sorted(path.name for path in list_images([own])) == ["p.png", "room_ids.png"]


@pytest.mark.usefixtures("fake_single")
@pytest.mark.parametrize("option", [("--stack", "rgbb"), ("--palette", "rainbow"), ("--model", "gone")])
@pytest.mark.parametrize("listed", [False, True])
def test_a_mistake_of_the_whole_run_is_said_once(
    scans: Path, tmp_path: Path, option: tuple[str, str], listed: bool
) -> None:
    (tmp_path / "l.txt").write_text("\n".join(str(path) for path in sorted(scans.rglob("*.*"))))
    result = run(tmp_path / "l.txt" if listed else scans, "-o", tmp_path / "out", *option)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert option[1] in line
    assert result.stdout == ""


def test_bands_of_pictures_alone_are_refused_once(scans: Path, tmp_path: Path) -> None:
    result = run(scans, "-o", tmp_path / "out", "--bands", "1,2")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: --bands is for rasters, and all inputs are read as pictures; leave it out\n"
    )
