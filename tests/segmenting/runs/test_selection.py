from __future__ import annotations

from pathlib import Path

import pytest

from pixelcluster.segmenting.runs.jobs import Job
from pixelcluster.segmenting.runs.selection import split_finished, take_shard


def jobs(folder: Path, names: str) -> list[Job]:
    return [
        Job(Path(name), {"labels": folder / f"{name}_labels.png", "overlay": folder / f"{name}_overlay.png"})
        for name in names
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9])
def test_shards_are_a_partition_whatever_the_order(tmp_path: Path, count: int) -> None:
    given = jobs(tmp_path, "gbadfce")
    shards = [take_shard(given, number, count) for number in range(1, count + 1)]
    taken = [str(job.source) for shard in shards for job in shard]
    assert sorted(taken) == list("abcdefg")
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert shards == [take_shard(given[::-1], number, count) for number in range(1, count + 1)]


def test_finished_means_every_file(tmp_path: Path) -> None:
    for name in ("a_labels.png", "b_labels.png", "b_overlay.png"):
        (tmp_path / name).touch()
    (tmp_path / "c_labels.png").mkdir()
    (tmp_path / "c_overlay.png").touch()
    todo, finished = split_finished(jobs(tmp_path, "abcd"))
    assert [str(job.source) for job in todo] == ["a", "c", "d"]
    (outcome,) = finished
    assert outcome.as_json() == {
        "input": "b",
        "outputs": [str(tmp_path / "b_labels.png"), str(tmp_path / "b_overlay.png")],
        "skipped": True,
    }
