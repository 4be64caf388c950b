from __future__ import annotations

import pytest
from click.testing import CliRunner

from pixelcluster.errors import PixelClusterError
from pixelcluster.torture.rows import Row
from pixelcluster.torture.sections import SECTIONS
from tools import torture


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Sections that keep what they are told."""
    seen: list[tuple[str, int, int]] = []
    for name, (_, count) in SECTIONS.items():

        def section(count: int, seed: int, name: str = name) -> list[Row]:
            seen.append((name, count, seed))
            return [Row(name, "x", "1/1", "all", name != "soak", ("gone",) if name == "soak" else ())]

        monkeypatch.setitem(torture.SECTIONS, name, (section, count))
    return seen


def test_scale_seed_and_choice_reach_the_sections(told) -> None:
    result = CliRunner().invoke(torture.main, ["--section", "inputs", "--section", "nan", "--scale", "0.1"])
    assert result.exit_code == 0, result.output
    assert told == [("inputs", 70, 0), ("nan", 1, 0)]
    assert "| nan | x | 1/1 | all | yes |" in result.stdout


def test_all_run_and_one_that_gives_is_exit_1(told) -> None:
    result = CliRunner().invoke(torture.main, ["--seed", "5"])
    assert result.exit_code == 1
    assert [name for name, _, _ in told] == list(SECTIONS)
    assert {seed for _, _, seed in told} == {5}
    assert "- soak, x: gone" in result.stdout


def test_the_full_counts_are_those_promised() -> None:
    assert SECTIONS["inputs"][1] * 7 >= 4_900  # seven kinds are asked for, eleven are tried
    assert SECTIONS["inputs"][1] * 11 >= 5_000
    assert SECTIONS["kills"][1] * 3 // 2 >= 50
    assert SECTIONS["soak"][1] >= 1_000


def test_errors_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(count: int, seed: int) -> list[Row]:
        raise PixelClusterError("no")

    monkeypatch.setitem(torture.SECTIONS, "disk", (broken, 1))
    result = CliRunner().invoke(torture.main, ["--section", "disk"])
    assert (result.exit_code, result.stderr) == (1, "error: no\n")
