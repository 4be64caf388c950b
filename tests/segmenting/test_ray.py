"""Two processes of Ray Data against this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from pixelcluster import read_label_map
from pixelcluster.cli.main import cli

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
pytest.importorskip("ray.data", reason="Ray Data (ray[data]) is not installed")


def on_ray(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A process of its own: Ray leaves threads and log files behind."""
    command = [sys.executable, "-m", "pixelcluster", "segment", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    options = ["-k", "3", "--engine", "ray", "--workers", "2"]
    return subprocess.run([*command, *options], capture_output=True, text=True, env=environment, timeout=300)


def here(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["segment", *map(str, arguments), "-k", "3"])


def journal(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def test_two_processes_write_what_one_writes_and_go_on(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "in").mkdir()
    for number in range(5):
        coarse = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 30), Image.Resampling.NEAREST).save(tmp_path / f"in/{number}.png")
    (tmp_path / "in/bad.png").write_text("no image")
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(str(path) for path in sorted((tmp_path / "in").iterdir())))

    alone, both = here(listed, "-o", tmp_path / "alone"), on_ray(listed, "-o", tmp_path / "both")
    assert (alone.exit_code, both.returncode) == (1, 1), both.stderr
    for result in (alone, both):
        assert "5 images in" in result.stdout
        assert "1 of 6 inputs failed" in result.stderr
        assert "bad.png: not an image" in result.stderr
    maps = sorted((tmp_path / "alone").rglob("*_labels.png"))
    assert len(maps) == 5
    for path in maps:
        other = read_label_map(tmp_path / "both" / path.relative_to(tmp_path / "alone"))
        np.testing.assert_array_equal(read_label_map(path), other)
    entries = journal(tmp_path / "both")
    assert sum("outputs" in entry for entry in entries) == 5
    assert sum("error" in entry for entry in entries) == 1

    (tmp_path / "in/bad.png").unlink()
    Image.fromarray(coarse).save(tmp_path / "in/bad.png")
    again = here(listed, "-o", tmp_path / "both", "--json")  # either engine goes on from the journal
    assert again.exit_code == 0, again.stderr
    assert [Path(entry["input"]).name for entry in json.loads(again.stdout)] == ["bad.png"]
    assert len(journal(tmp_path / "both")) == 7
