from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch):
    """The tool as a module, at a tiny size."""
    path = Path(__file__).parents[2] / "tools" / "bench.py"
    spec = importlib.util.spec_from_file_location("bench", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench", module)
    spec.loader.exec_module(module)
    for name, value in {"BATCH": 2, "CHANNELS": 3, "SIDE": 8, "CLUSTERS": (2, 4)}.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_it_prints_a_table_and_writes_the_same_rows(bench, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    path = tmp_path / "bench.json"
    result = CliRunner().invoke(
        bench.main, ["--json", str(path), "--repeats", "1", "--threads", str(threads)]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(path.read_text())
    assert {row["section"] for row in report["rows"]} == set(bench.SECTIONS)
    assert result.output.count("\n|") == 2 + len(report["rows"])
    for row in report["rows"]:
        assert row["milliseconds"] > 0
        assert (row["ratio"] is None) == (row["against"] == "")


def test_one_section_alone(bench) -> None:
    threads = str(torch.get_num_threads())
    result = CliRunner().invoke(bench.main, ["--section", "gibbs", "--repeats", "1", "--threads", threads])
    assert "| gibbs |" in result.output
    assert "| langevin |" not in result.output


def test_medians_are_of_the_timed_calls(bench) -> None:
    calls = []
    times = bench.median_times(3, one=lambda: calls.append(1), two=lambda: calls.append(2))
    assert calls == [1, 2] * 4
    assert set(times) == {"one", "two"}


def test_an_unwritable_file_is_one_line(bench, tmp_path: Path) -> None:
    target = tmp_path / "missing" / "bench.json"
    threads = str(torch.get_num_threads())
    arguments = ["--json", str(target), "--section", "gibbs", "--repeats", "1", "--threads", threads]
    result = CliRunner().invoke(bench.main, arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
