from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.resuming.snapshots import KEPT, Snapshots, find, read_newest, remove
from pixelcluster.resuming.state_file import State, write_state
from pixelcluster.stopping import Interrupted, StopSignals


def never() -> State:
    """Stand for a state that is not wanted."""
    pytest.fail("a state was described")


def steps_in(folder: Path) -> list[int]:
    """Return the numbers of the checkpoints in a folder, newest first."""
    return [int(path.stem[5:]) for path in find(folder)]


def test_a_step_is_saved_when_it_is_time_with_the_callers_facts_and_a_few_are_kept(tmp_path: Path) -> None:
    folder, caller = tmp_path / "run" / "checkpoints", {"given": {"source": "in", "labels": None}}
    waiting = Snapshots(folder, every=1e9, caller=caller)
    waiting.after_step(1, never)
    assert not folder.exists()
    due = Snapshots(folder, every=0, caller=caller)
    for step in (8, 9, 10, 999_999_999, 1_000_000_000):
        due.after_step(step, lambda step=step: {"step": step, "z": torch.full((2,), step)})
    assert KEPT == 3
    assert steps_in(folder) == [1_000_000_000, 999_999_999, 10]
    newest = read_newest(folder)
    assert newest["caller"] == caller
    assert newest["z"].tolist() == [1_000_000_000] * 2


def test_the_wait_begins_anew_with_each_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("pixelcluster.resuming.snapshots.time.monotonic", lambda: now[0])
    snapshots = Snapshots(tmp_path, every=10, caller={})
    for step in range(1, 26):
        now[0] += 1.0
        snapshots.after_step(step, lambda step=step: {"step": step})
    assert steps_in(tmp_path) == [20, 10]


def test_a_signal_saves_the_step_under_way_and_ends_the_run(tmp_path: Path) -> None:
    stop = StopSignals()
    snapshots = Snapshots(
        tmp_path / "out" / "checkpoints", every=1e9, caller={}, stop=stop, command="cluster"
    )
    snapshots.after_step(6, never)
    assert stop.deferred
    stop.received = signal.SIGINT
    with pytest.raises(Interrupted) as caught:
        snapshots.after_step(7, lambda: {"step": 7})
    assert caught.value.exit_code == 130
    wanted = f"stopped, saved at step 7; go on with: pixelcluster cluster --resume {tmp_path / 'out'}"
    assert str(caught.value) == wanted
    state = read_newest(snapshots.folder)
    assert state == {"step": 7, "caller": {}}
    again = StopSignals()
    Snapshots(snapshots.folder, every=1e9, caller={}, state=state, stop=again, command="cluster")
    assert again.message == wanted  # a signal before the first step finds all saved


def test_a_settled_run_ends_at_once_on_a_signal(tmp_path: Path) -> None:
    stop = StopSignals()
    snapshots = Snapshots(tmp_path, every=1e9, caller={}, stop=stop)
    snapshots.after_step(4, never)
    snapshots.settle(4, {"step": 4})
    assert steps_in(tmp_path) == [4]
    assert not stop.deferred
    assert "saved at step 4" in stop.message
    stop.received = signal.SIGTERM
    with pytest.raises(Interrupted, match="saved at step 5"):
        snapshots.settle(5, {"step": 5})
    assert steps_in(tmp_path) == [5, 4]


def test_damaged_newer_files_are_passed_over_with_a_warning_each(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write_state(tmp_path / f"step-{step:09}.safetensors", {"step": step, "z": torch.ones(100)})
    third, second, first = find(tmp_path)
    third.write_bytes(third.read_bytes()[:-200])
    second.write_bytes(b"")
    with pytest.warns(PixelClusterWarning, match="no checkpoint that can be read") as warned:
        assert read_newest(tmp_path)["step"] == 1
    assert [str(one.message).split(":")[0][-26:] for one in warned] == [third.name, second.name]
    first.write_bytes(b"x")
    with (
        pytest.warns(PixelClusterWarning, match="no checkpoint that can be read"),
        pytest.raises(PixelClusterError, match="holds no checkpoint to resume from"),
    ):
        read_newest(tmp_path)


def test_only_what_is_a_checkpoint_is_found_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    assert find(folder) == []
    remove(folder)
    Snapshots(folder, every=0, caller={}).save(2, {})
    (folder / ".pixelcluster-0123456789ab.tmp").write_bytes(b"half")
    notes = [folder / "notes.txt", folder / "step-x.safetensors", folder / "step-2.safetensors.bak"]
    for path in notes:
        path.write_text("mine")
    assert steps_in(folder) == [2]
    remove(folder)
    assert sorted(folder.iterdir()) == sorted(notes)
    for path in notes:
        path.unlink()
    remove(folder)
    assert not folder.exists()
