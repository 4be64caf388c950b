from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelcluster.torture import numbers, repeat
from pixelcluster.torture.commands import damaged_files, finish, kill, one_line, start
from pixelcluster.torture.crowds import resident
from pixelcluster.torture.numbers import INJECTIONS
from pixelcluster.torture.repeat import digest, resume_section, seeds_section
from pixelcluster.torture.rows import Row, table
from pixelcluster.torture.samples import SETTINGS, picture, write_pictures


def test_the_table_names_what_failed() -> None:
    rows = [Row("a", "b", "1/1", "all", True), Row("c", "d", "0/1", "all", False, ("e 7",))]
    lines = table(rows).splitlines()
    assert lines[2:] == ["| a | b | 1/1 | all | yes |", "| c | d | 0/1 | all | NO |", "", "- c, d: e 7"]
    assert not table(rows[:1]).endswith("\n")


@pytest.mark.parametrize("name", INJECTIONS)
def test_every_injection_is_detected(name: str) -> None:
    row = numbers._try(name, INJECTIONS[name], 1, 0)
    assert row.met, row.findings


def test_an_injection_without_effect_is_no_success() -> None:
    assert not numbers._try("nothing", lambda fit, random: None, 1, 0).met


def test_a_run_resumes_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeat, "SETTINGS", SETTINGS.replace("epochs: 15", "epochs: 3"))
    (row,) = resume_section(1)
    assert row.met, row.findings


def test_a_seed_gives_one_label_map(monkeypatch: pytest.MonkeyPatch) -> None:
    short = SETTINGS.replace("epochs: 15", "epochs: 1").replace("restarts: 2", "restarts: 1")
    monkeypatch.setattr(repeat, "SETTINGS", short)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)  # spinning threads are slow here
    rows = seeds_section(1, seed=3)
    assert rows[0].met, rows[0].findings


def test_a_digest_sees_every_bit() -> None:
    state = {"a": torch.zeros(3), "b": [1.0, None, "x"]}
    assert digest(state) == digest({"b": [1.0, None, "x"], "a": torch.zeros(3)})
    for other in (
        {"a": torch.zeros(3), "b": [1.0, None, "y"]},
        {"a": -torch.zeros(3), "b": [1.0, None, "x"]},
        {"a": torch.zeros(3, 1), "b": [1.0, None, "x"]},
        {"a": torch.zeros(3, dtype=torch.int32), "b": [1.0, None, "x"]},
    ):
        assert digest(state) != digest(other)


def test_torn_files_are_found_and_temporaries_are_not_files(tmp_path: Path) -> None:
    whole = write_pictures(tmp_path / "sub", 1)[0].read_bytes()
    (tmp_path / ".pixelcluster-1.tmp").write_bytes(whole[:50])
    assert damaged_files(tmp_path) == []
    (tmp_path / "torn.png").write_bytes(whole[:500])
    (tmp_path / "step-000000001.safetensors").write_bytes(b"half")
    (tmp_path / "config.yaml").touch()
    assert [line.split(":")[0] for line in damaged_files(tmp_path)] == [
        "config.yaml",
        "step-000000001.safetensors",
        "torn.png",
    ]


def test_what_is_one_line() -> None:
    assert one_line("warning: x\nerror: y\n")
    assert not one_line("")
    assert not one_line("Traceback (most recent call last):\nerror: y")
    assert not one_line("oh dear")


def test_processes_end_as_they_are_told(tmp_path: Path) -> None:
    code, errors = finish(start(["segment", tmp_path / "gone.png"]))
    assert (code, one_line(errors)) == (1, True)
    assert kill(start(["segment", tmp_path / "gone.png"]))[0] in (-9, 1)


def test_samples() -> None:
    assert picture(1).shape == (48, 64, 3)
    assert not np.array_equal(picture(1), picture(2))
    assert "n_clusters: 3" in SETTINGS
    assert resident() > 10_000_000
    with Image.fromarray(picture(1, 5, 7)) as image:
        assert image.size == (7, 5)
