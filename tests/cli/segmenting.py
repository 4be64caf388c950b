"""Running `pixelcluster segment` in tests."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from pixelcluster.cli.main import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["segment", *map(str, arguments)])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fails(result: Result, *words: str) -> None:
    """One line of error that holds the words."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    for word in words:
        assert word in line
