from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from pixelcluster.evaluation.bench_rows import KernelSize, Options, Row
from tools import bench

Section = Callable[[Options], list[Row]]
THREADS = str(torch.get_num_threads())


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """Sections that keep what they are told and start no process; the kernels run, at a tiny size."""
    told: list[Options] = []
    for name in ("segment", "fast", "scaling", "memory", "raster", "video"):

        def section(options: Options, name: str = name) -> list[Row]:
            told.append(options)
            return [Row(name, "seconds", 0.5, "s", 0.2)]

        monkeypatch.setitem(bench.SECTIONS, name, section)
    for name in ("langevin", "gibbs"):
        real, size = bench.SECTIONS[name], KernelSize(2, 3, 8, (2, 4))

        def kernels(options: Options, real: Section = real, size: KernelSize = size) -> list[Row]:
            return real(replace(options, kernels=size))

        monkeypatch.setitem(bench.SECTIONS, name, kernels)
    return told


def run(*arguments: object):
    options = ["--repeats", 1, "--threads", THREADS, *arguments]
    return CliRunner().invoke(bench.main, [str(option) for option in options])


def test_it_prints_a_table_and_writes_the_same_rows(seen, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    result = run("--json", path)
    assert result.exit_code == 0, result.output
    report = json.loads(path.read_text())
    assert {row["section"] for row in report["rows"]} == set(bench.SECTIONS)
    assert result.stdout.count("\n|") == 2 + len(report["rows"])
    for row in report["rows"]:
        assert row["value"] > 0
        assert (row["met"] is None) == (row["limit"] is None)
    assert "| fast | seconds | 0.5 | s | 0.2 | NO |" in result.stdout


def test_sections_are_told_the_choices(seen, tmp_path: Path) -> None:
    assert run("--section", "memory", "--full", "--model", tmp_path).exit_code == 0
    (options,) = seen
    assert (options.full, options.model, options.repeats) == (True, tmp_path, 1)
    with Image.open(options.sample) as sample:  # the sample is there
        assert min(sample.size) > 300


def test_one_section_alone(seen) -> None:
    result = run("--section", "gibbs")
    assert "| gibbs |" in result.stdout
    assert "| langevin |" not in result.stdout


def test_an_unwritable_file_is_one_line_before_any_work(seen, tmp_path: Path) -> None:
    result = run("--json", tmp_path / "missing" / "bench.json", "--section", "fast")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert not seen
