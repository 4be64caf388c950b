from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pixelcluster.cli.main import cli
from pixelcluster.config_file import dump_config, load_config
from pixelcluster.render.palette import categorical, hex_colours
from tests.synthetic import settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(dump_config(settings(n_clusters=6)))
    (tmp_path / "model.safetensors").touch()
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_merge_and_name(folder: Path) -> None:
    result = run("merge", folder, "2,5")
    assert (result.exit_code, result.stdout) == (0, "cluster 2 <- 5\n")
    result = run("name", folder, "0=sky", "3=wet road", "2=a=b")
    assert (result.exit_code, result.stdout) == (0, "0  sky\n2  a=b\n3  wet road\n")
    clusters = load_config(folder / "config.yaml").clusters
    assert clusters.merged == {5: 2}
    assert run("name", folder, "0=").stdout == "2  a=b\n3  wet road\n"


@pytest.mark.parametrize(
    "arguments",
    [("merge", "9,1"), ("merge", "1"), ("name", "sky"), ("name", "9=sky"), ("name", "0=a\tb")],
)
def test_one_line_for_what_is_wrong(folder: Path, arguments: tuple[str, str]) -> None:
    before = (folder / "config.yaml").read_bytes()
    result = run(arguments[0], folder, *arguments[1:])
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert (folder / "config.yaml").read_bytes() == before


def test_no_list_of_ids_is_a_usage_error(folder: Path) -> None:
    for bad in ("x", "1,,2", "-1,2"):
        assert run("merge", folder, bad).exit_code == 2


def test_clusters_are_listed_with_colour_share_and_name(folder: Path) -> None:
    assert run("merge", folder, "2,5").exit_code == 0
    assert run("name", folder, "0=sky").exit_code == 0
    before = (folder / "config.yaml").stat().st_mtime_ns
    colours = hex_colours(categorical(6))
    plain = [f"{i:3}      {colours[i]}" for i in range(5)]
    assert run("name", folder).stdout.splitlines() == [plain[0] + "  sky", *plain[1:]]
    epochs = [[0.5, 0.1, 0.1, 0.1, 0.1, 0.1], [0.4, 0.05, 0.15, 0.1, 0.1, 0.2]]
    entries = [*({"shares": shares} for shares in epochs), {"student_loss": 0.1}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert run("name", folder).stdout.splitlines() == [
        f"{plain[0]}   40.0 %  sky",
        f"{plain[1]}    5.0 %",
        f"{plain[2]}   35.0 %",
        f"{plain[3]}   10.0 %",
        f"{plain[4]}   10.0 %",
    ]
    assert (folder / "config.yaml").stat().st_mtime_ns == before
    assert "no model folder" in run("name", folder / "gone").stderr
    (folder / "metrics.jsonl").write_text('{"shares": [0.5, 0.5]}\n')  # pruned after its last epoch
    assert run("name", folder).stdout.splitlines()[1:] == plain[1:]
    for damaged in ("{cut", "[1]"):
        (folder / "metrics.jsonl").write_text(damaged)
        result = run("name", folder)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "delete it" in result.stderr


def test_merges_are_taken_back(folder: Path) -> None:
    whole = load_config(folder / "config.yaml")
    assert run("merge", folder, "2,5").exit_code == 0
    assert run("merge", folder, "0,3,4").exit_code == 0
    result = run("merge", folder, "--undo")
    assert result.stdout.splitlines() == [
        "cluster 3 is its own again, no longer part of 0",
        "cluster 4 is its own again, no longer part of 0",
        "cluster 5 is its own again, no longer part of 2",
    ]
    assert load_config(folder / "config.yaml") == whole
    again = run("merge", folder, "--undo")
    assert again.exit_code == 1
    assert "no clusters are merged; there is nothing to undo" in again.stderr
    assert run("merge", folder, "--undo", "2,5").exit_code == run("merge", folder).exit_code == 2


def test_names_stay_when_merges_are_taken_back(folder: Path) -> None:
    assert run("name", folder, "5=sky").exit_code == 0
    assert run("merge", folder, "2,5").exit_code == 0
    assert run("merge", folder, "--undo").exit_code == 0
    clusters = load_config(folder / "config.yaml").clusters
    assert (clusters.names, clusters.merged) == ({2: "sky"}, {})
