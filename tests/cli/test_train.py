from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from pixelcluster.cli.main import cli
from pixelcluster.config import RunConfig
from pixelcluster.segmenting import train_folder
from pixelcluster.stopping import Interrupted, StopSignals
from pixelcluster.torture.samples import SETTINGS


@pytest.fixture
def history() -> list[dict[str, object]]:
    """What training measures."""
    return []


@pytest.fixture
def calls(
    monkeypatch: pytest.MonkeyPatch, history: list[dict[str, object]]
) -> list[tuple[Any, dict[str, Any]]]:
    """Runs that only keep what they are given."""
    seen: list[tuple[Any, dict[str, Any]]] = []
    for name in ("train_folder", "resume_folder"):

        def keep(*args: Any, name: str = name, **kw: Any) -> SimpleNamespace:
            seen.append((name, args, kw))
            student = None if history and "student_loss" not in history[-1] else object()
            generator = SimpleNamespace(n_clusters=5)
            model = SimpleNamespace(history=history, generator=generator, student=student, config=RunConfig())
            return SimpleNamespace(failures_=[], model_=model)

        monkeypatch.setattr(train_folder, name, keep)
    return seen


def run(*arguments: object):
    return CliRunner().invoke(cli, ["train", *map(str, arguments)])


def test_training_gets_the_choices(calls) -> None:
    result = run(
        *("photos", "-k", 5, "-o", "model", "--seed", 3, "--minutes", 2, "--checkpoint-every", 0.5),
        *("--max-pixels", 50),
    )
    assert result.exit_code == 0, result.output
    ((name, (folder, output, training), options),) = calls
    assert (name, folder, output) == ("train_folder", Path("photos"), Path("model"))
    assert (training.n_clusters, training.seed, training.minutes, training.max_pixels) == (5, 3, 2, 50)
    assert options["keeping"].minutes == 0.5
    assert isinstance(options["keeping"].stop, StopSignals)
    sheet = Path("model", "samples.png")
    assert result.stdout.splitlines() == [
        "model: model written",
        "5 clusters, 0 s",
        f"look at {sheet}, then try: pixelcluster segment IMAGE --model model",
    ]


def test_how_far_the_student_is_from_the_chains_is_told(calls, history) -> None:
    said = "the student agrees with the chains on {} % of the pixels of the sample images"
    late = "no time was left to teach the student, so --mode fast runs the chains; train longer"
    for student, out, err in [
        ({"student_loss": 0.5, "student_agreement": 0.93}, [said.format(93)], ""),
        (
            {"student_loss": 2.5, "student_agreement": 0.65},
            [],
            f"warning: {said.format(65)}; train longer, or use --mode exact\n",
        ),
        ({}, [], f"warning: {late}\n"),
    ]:
        history[:] = [{"objective": 1.0, **student}]
        result = run("photos", "-o", "model")
        assert result.exit_code == 0
        assert result.stdout.splitlines()[2:-1] == out
        assert result.stderr == err


def test_a_finished_run_is_no_mistake_and_a_missing_folder_is_named(calls, tmp_path: Path) -> None:
    for name in ("config.yaml", "model.safetensors"):
        (tmp_path / name).touch()
    result = run("--resume", tmp_path)
    assert result.exit_code == 0
    assert result.stdout == (
        f"{tmp_path}: the run is finished and its model written; there is nothing to resume\n"
    )
    assert calls == []


def test_resuming_takes_a_folder_and_a_time_only(calls) -> None:
    assert run("--resume", "model").exit_code == 0
    assert run("moved", "--resume", "model", "--minutes", 9, "--checkpoint-every", 1).exit_code == 0
    (first, (args, options)) = calls[0], calls[1][1:]
    assert first[0] == "resume_folder"
    assert (args, options["folder"], options["minutes"]) == ((Path("model"),), Path("moved"), 9)
    for extra in (
        ["-k", 3],
        ["-o", "x"],
        ["--seed", 0],
        ["--config", "c"],
        ["--overwrite"],
        ["--max-pixels", 9],
        ["--stack", "rgb"],
    ):
        result = run("--resume", "model", *extra)
        assert result.exit_code == 2
        assert "from the run itself; leave it out" in result.stderr


def test_files_left_out_are_errors_after_the_model_is_written(
    photo: Callable[[str], Path], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        photo(f"in/{name}.png")
    (tmp_path / "in" / "broken.png").write_text("no")
    (tmp_path / "c.yaml").write_text(SETTINGS)
    command = [sys.executable, "-m", "pixelcluster", "train", "in", "-o", "out", "--config", "c.yaml"]
    done = subprocess.run(
        [*command, "--minutes", "0.01"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [  # after the state of the run
        "error: in/broken.png: not an image this program reads; convert it to PNG, JPEG, TIFF, WebP, BMP, "
        "GIF or PPM",
        "1 file left out",
    ]
    assert (tmp_path / "out" / "samples.png").exists()


def test_something_must_be_trained(calls) -> None:
    for arguments in (["photos"], ["-o", "model"], ["-k", 3]):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "FOLDER and -o DIR are needed, or --resume DIR" in result.stderr
    assert calls == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    def stopped(*args: object, **options: object) -> None:
        raise Interrupted(number, "stopped, saved at step 5")

    monkeypatch.setattr(train_folder, "resume_folder", stopped)
    result = run("--resume", "model")
    assert (result.exit_code, result.stderr) == (code, "stopped, saved at step 5\n")


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_a_real_run_stops_saves_and_goes_on(photo: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        photo(f"in/{name}.png")
    settings = SETTINGS.replace("n_clusters: 3", "n_clusters: 4").replace("epochs: 15", "epochs: 4000")
    (tmp_path / "c.yaml").write_text(settings)
    command = [sys.executable, "-m", "pixelcluster", "train", tmp_path / "in", "-o", tmp_path / "out"]
    options = ["--config", tmp_path / "c.yaml", "--checkpoint-every", "0"]
    process = subprocess.Popen(
        [str(part) for part in (*command, *options)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    ends = time.monotonic() + 60
    checkpoints = tmp_path / "out" / "checkpoints"
    while not (checkpoints.exists() and any(checkpoints.glob("step-*"))) and time.monotonic() < ends:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors.splitlines()[-1].startswith("stopped, saved at step ")
    assert errors.rstrip().endswith(f"pixelcluster train --resume {tmp_path / 'out'}")
    assert not [path for path in checkpoints.iterdir() if path.name.startswith(".")]
    result = run("--resume", tmp_path / "out", "--minutes", 0.01)
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.yaml",
        "metrics.jsonl",
        "model.safetensors",
        "samples.png",
    ]
