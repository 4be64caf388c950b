"""Lists of images, the journal of a run, and runs that go on."""

from __future__ import annotations

import csv
import json
import os
import weakref
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pixelcluster.cli.main import cli
from pixelcluster.errors import PixelClusterError
from pixelcluster.io.label_map import read_label_map
from pixelcluster.segmenting.runs.jobs import Outcome, Outputs
from pixelcluster.segmenting.runs.journal import Journal, PathSet
from pixelcluster.segmenting.runs.manifest import is_manifest, place_listed, read_manifest
from pixelcluster.segmenting.runs.stream import Source, run_stream

NAMES = ["a/x.jpg", "b, c.png", 'say "hi".png', " blank.png ", "ü.png"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["segment", *map(str, arguments)])


def test_three_formats_list_the_same_paths(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("\ufeff" + "\r\n\n".join(NAMES), encoding="utf-8")
    with open(tmp_path / "l.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": i, "path": name}) + "\n\n" for i, name in enumerate(NAMES))
    with open(tmp_path / "l.CSV", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["id", "path"])
        table.writeheader()
        table.writerows({"id": i, "path": name} for i, name in enumerate(NAMES))
    for name in ("l.txt", "l.jsonl", "l.CSV"):
        assert is_manifest(tmp_path / name)
        assert [path for _, path in read_manifest(tmp_path / name)] == [Path(name) for name in NAMES], name
    assert not is_manifest(tmp_path / "l.png")


def test_a_file_name_may_be_any_bytes(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes(b"caf\xe9.png\n")
    ((_, path),) = read_manifest(tmp_path / "l.txt")
    assert os.fsencode(path) == b"caf\xe9.png"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("l.jsonl", b'{"path": "a"}\n{"path": 5}\n', 2),
        ("l.jsonl", b'{"path": "a"}\n\nnonsense\n', 3),
        ("l.jsonl", b"[" * 100_000, 1),
        ("l.jsonl", b'["path"]\n', 1),
        ("l.jsonl", b'{"path": ""}\n', 1),
        ("l.csv", b"name,id\na.png,3\n", 2),
        ("l.csv", b"path\n" + b"x" * 200_000 + b"\n", 2),
        ("l.txt", b"a.png\nb\0.png\n", 2),
    ],
)
def test_a_line_without_a_path_is_named(tmp_path: Path, name: str, content: bytes, line: int) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PixelClusterError, match=f"line {line} lists no image") as caught:
        list(read_manifest(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_missing_manifest_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match="no such file"):
        list(read_manifest(tmp_path / "l.txt"))


def test_outputs_repeat_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    out = Path("out")
    wanted = {
        "a/x.jpg": out / "a/x_jpg_l",
        "a/x.png": out / "a/x_png_l",
        "./a//x.png": out / "a/x_png_l",
        "plain": out / "plain_l",
        "/data/x.tar.gz": out / "data/x.tar_gz_l",
        "../x.png": out / tmp_path.parent.relative_to("/") / "x_png_l",
        "a/../../x.png": out / tmp_path.parent.relative_to("/") / "x_png_l",
    }
    for source, target in wanted.items():
        assert place_listed(Path(source), out).file("_l") == target, source


def test_a_set_of_paths_is_small_and_right() -> None:
    paths = [f"folder/{number}.png" for number in range(5000)]
    some = PathSet(paths[::2])
    assert [path in some for path in paths[:6]] == [True, False] * 3
    assert "folder/0.png" not in PathSet([])


def test_the_journal_keeps_every_line_but_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        assert not journal.begun
        journal.add(Outcome(Path("a.png"), files=(Path("a_labels.png"),), seconds=0.5))
        journal.add(Outcome(Path("b.png"), error="b.png: broken"))
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [entry["input"] for entry in entries] == ["a.png", "b.png"]
    assert entries[0]["outputs"] == ["a_labels.png"]
    assert (entries[0]["seconds"], entries[1]["error"]) == (0.5, "b.png: broken")
    whole = path.read_text()
    path.write_text(whole + whole[:20])
    with Journal(path) as journal:
        assert journal.begun
        assert "a.png" in journal.finished
        assert "b.png" not in journal.finished
        journal.add(Outcome(Path("c.png")))
    with Journal(path) as journal:
        assert "c.png" in journal.finished
    with pytest.raises(PixelClusterError, match="is a folder, but one file is needed"):
        Journal(tmp_path)


@pytest.mark.usefixtures("fake_single")
def test_a_manifest_goes_on_where_it_stopped(photo: Callable[..., Path], tmp_path: Path) -> None:
    listed = [photo(f"scans/{name}.png") for name in "abcd"]
    (tmp_path / "bad.png").write_text("no image")
    manifest, out = tmp_path / "l.txt", tmp_path / "out"
    manifest.write_text("\n".join(map(str, [*listed[:2], tmp_path / "bad.png"])))
    first = run(manifest, "-o", out, "-k", 3)
    assert first.exit_code == 1
    assert "2 images in" in first.stdout
    assert first.stderr.count("error: ") == 1
    assert "1 of 3 inputs failed" in first.stderr
    # The killed run wrote the files of c, not its line; d's set is not whole.
    labels = place_listed(listed[0], out).file("_labels.png")
    for name in ("c_png_labels.png", "c_png_overlay.png", "d_png_labels.png"):
        (labels.parent / name).write_bytes(labels.read_bytes())
    labels.unlink()
    manifest.write_text("\n".join(map(str, listed)))
    second = run(manifest, "-o", out, "-k", 3)
    assert "1 input finished before" in second.stdout
    assert "1 input skipped" in second.stdout
    for missing in ("a_png_overlay.png", "d_png_labels.png"):  # not believed of a, whose labels are gone
        assert f"{missing}: exists already" in second.stderr
    third = run(manifest, "-o", out, "-k", 3, "--overwrite", "--skip-existing")
    assert third.exit_code == 0, third.output
    assert "2 inputs finished before" in third.stdout
    assert "2 images in" in third.stdout
    assert labels.exists()
    assert run(manifest, "-o", out, "-k", 3).stdout.count("clusters in") == 0
    again = run(manifest, "-o", out, "-k", 2, "--overwrite")
    assert "4 images in" in again.stdout
    assert read_label_map(labels).max() == 1


@pytest.mark.usefixtures("fake_single")
def test_shards_folders_and_json(photo: Callable[..., Path], tmp_path: Path) -> None:
    listed = [photo(f"scans/{name}.png") for name in "abc"]
    photo("more/d.png")
    manifest = tmp_path / "l.txt"
    manifest.write_text("\n".join(map(str, listed)))
    seen = []
    for number in (1, 2):
        result = run(manifest, tmp_path / "more", "-o", tmp_path / "out", "--shard", f"{number}/2", "--json")
        assert result.exit_code == 0, result.output
        seen.append([Path(entry["input"]).stem for entry in json.loads(result.stdout)])
    assert [sorted(part) for part in seen] == [["a", "c", "d"], ["b"]]
    assert (tmp_path / "out" / "journal-2-of-2.jsonl").is_file()
    assert json.loads(run(manifest, "-o", tmp_path / "out", "--shard", "2/2", "--json").stdout) == []


@pytest.mark.usefixtures("fake_single")
def test_overwrite_never_replaces_a_listed_picture(photo: Callable[..., Path], tmp_path: Path) -> None:
    source = photo("x.png")
    output = place_listed(source, tmp_path / "out").file("_labels.png")
    listed = photo(str(output.relative_to(tmp_path)))
    (tmp_path / "l.txt").write_text(f"{source}\n{listed}\n")
    before = listed.read_bytes()
    result = run(tmp_path / "l.txt", "-o", tmp_path / "out", "--overwrite", "-k", 3)
    assert result.exit_code == 1
    assert "would replace an input" in result.stderr
    assert listed.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "want -o DIR"),
        (["-o", "out", "--report", "r.html"], "take no --report"),
        (["-o", "out.png"], "give -o a folder"),
        (["-o", "out", "--workers", "2"], "those of --engine ray"),
    ],
)
def test_what_a_long_run_cannot_do(tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "l.txt").write_text("a.png\n")
    result = run(tmp_path / "l.txt", *options)
    assert result.exit_code == 1
    assert message in result.stderr


def test_jobs_and_results_are_let_go(tmp_path: Path) -> None:
    manifest = tmp_path / "l.txt"
    with open(manifest, "w") as file:
        file.writelines(f"missing/{number}.png\n" for number in range(300))
    jobs, outcomes, most = list[weakref.ref](), list[weakref.ref](), 0

    def engine(given):
        for job in given:
            jobs.append(weakref.ref(job))
            yield Outcome(job.source, files=tuple(job.files.values()))

    def note(outcome: Outcome) -> None:
        nonlocal most
        outcomes.append(weakref.ref(outcome))
        most = max(most, *(sum(ref() is not None for ref in refs) for refs in (jobs, outcomes)))

    source = Source([manifest], tmp_path, Outputs())
    with Journal(source.journal()) as journal:
        run_stream(source, engine, journal, note, skip_existing=False)
    assert len(outcomes) == 300
    assert most <= 3
    with Journal(source.journal()) as journal:
        assert all(str(item.source) in journal.finished for item in islice(source.jobs(), 10))


@pytest.mark.usefixtures("fake_single")
def test_a_file_without_outputs_is_made_again(photo: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text(str(photo("p.png")))
    labels = place_listed(tmp_path / "p.png", tmp_path / "out").file("_labels.png")
    for _ in range(2):
        result = run(tmp_path / "l.txt", "-o", tmp_path / "out", "--no-overlay")
        assert result.exit_code == 0, result.output
        labels.unlink()


@pytest.mark.usefixtures("fake_single")
def test_what_is_listed_twice_is_done_once(
    photo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("p.png", "q.png", "in/r.png"):
        photo(name)
    lines = ["p.png", "p.png", "./p.png", str(tmp_path / "p.png"), "in/../q.png", "in/r.png"]
    (tmp_path / "l.txt").write_text("\n".join(lines))
    seen = []
    for shard in ("1/2", "2/2"):
        result = run("l.txt", "in", "-o", "out", "--json", "--shard", shard)
        assert result.exit_code == 0, result.output
        seen += [entry["input"] for entry in json.loads(result.stdout)]
    assert sorted(seen) == ["in/../q.png", "in/r.png", "p.png"]


@pytest.mark.usefixtures("fake_single")
def test_outputs_that_would_meet_are_refused(photo: Callable[..., Path], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    absolute = photo("p.png")
    relative = photo(str(absolute).lstrip("/")).relative_to(tmp_path)
    (tmp_path / "l.txt").write_text(f"{absolute}\n{relative}\n")
    for _ in range(2):
        result = run("l.txt", "-o", "out", "--overwrite")
        assert result.exit_code == 1
        assert f"{relative}: its outputs are named as another's" in result.stderr
        assert "1 image in" in result.stdout


@pytest.mark.usefixtures("fake_single")
@pytest.mark.parametrize("option", ["--overwrite", "--skip-existing"])
def test_outputs_that_would_meet_those_of_a_folder_are_refused(
    photo: Callable[..., Path], tmp_path: Path, monkeypatch, option: str
) -> None:
    """x.jpg and x.png of the folder keep their suffix, as x.jpg of the list does."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos/x.jpg", "photos/x.png", "x.jpg"):
        photo(name)
    (tmp_path / "l.txt").write_text("x.jpg\n")
    for _ in range(2):
        result = run("photos", "l.txt", "-o", "out", "--json", option)
        assert result.exit_code == 1
        entries = {entry["input"]: entry for entry in json.loads(result.stdout)}
        assert "its outputs are named as another's" in entries["x.jpg"]["error"]
        assert all("error" not in entries.get(f"photos/x.{end}", {}) for end in ("jpg", "png"))
    assert len(list((tmp_path / "out").glob("*_labels.png"))) == 2


@pytest.mark.usefixtures("fake_single")
def test_an_error_names_the_line_of_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("\n\nhi\n")
    result = run(tmp_path / "notes.txt", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert f"error: {tmp_path / 'notes.txt'}, line 3: hi: no such file" in result.stderr
