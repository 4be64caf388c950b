from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pixelcluster.cli.main import cli
from pixelcluster.config_file import dump_config, load_config
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


def test_names_are_listed(folder: Path) -> None:
    assert run("merge", folder, "2,5").exit_code == 0
    assert run("name", folder, "0=sky").exit_code == 0
    before = (folder / "config.yaml").stat().st_mtime_ns
    assert run("name", folder).stdout == "0  sky\n1\n2\n3\n4\n"
    assert (folder / "config.yaml").stat().st_mtime_ns == before
    assert "no model folder" in run("name", folder / "gone").stderr
