"""SIGKILL at random moments of train, cluster and segment; SIGTERM and Ctrl-C; what is left on the disk."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pixelcluster.errors import PixelClusterError
from pixelcluster.torture.commands import damaged_files, finish, kill, start, train_arguments, wait_until
from pixelcluster.torture.rows import Row
from pixelcluster.torture.samples import write_model, write_pictures

N_IMAGES = 6


def kills_section(count: int, seed: int = 0) -> list[Row]:
    """Kill `count` trainings, resuming each from the last, half as many clusterings and segmentations."""
    with TemporaryDirectory() as name:
        folder, half = Path(name), max(1, count // 2)
        pictures = write_pictures(folder / "pictures", N_IMAGES)[0].parent

        def cluster(output: Path, checkpoint_every: float) -> list[object]:
            options = ["-o", output, "--checkpoint-every", checkpoint_every, "--overwrite"]
            return ["cluster", pictures, "-k", 2, *options]

        def train(output: Path, checkpoint_every: float) -> list[object]:
            return train_arguments(pictures, output, checkpoint_every=checkpoint_every)

        return [
            _resumed(train, "model.safetensors", folder / "train", count, seed),
            _resumed(cluster, "model/model.safetensors", folder / "cluster", half, seed),
            _segment(folder, half, seed),
        ]


def _resumed(
    begin: Callable[[Path, float], list[object]], weights: str, folder: Path, count: int, seed: int
) -> Row:
    """Kill the same run again and again; at the end its model must be that of a run left alone.

    Args:
        begin: arguments that begin a run, from its output folder and the minutes between checkpoints.
        weights: file of the model in the output folder.
        folder: of the outputs.
        count: kills.
        seed: of the moments.
    """
    from pixelcluster.resuming.snapshots import find, read_newest

    random, findings = np.random.default_rng(seed), list[str]()
    expected = folder / "expected"
    command = begin(expected, 60)[0]
    code, errors = finish(start(begin(expected, 60)))
    if code:
        raise PixelClusterError(f"{command} of the small pictures failed: {errors.strip()}")
    wanted = (expected / weights).read_bytes()
    output, step, survived, ended, equal = folder / "killed", 0, 0, 0, 0

    for index in range(count):
        checkpoints = output / "checkpoints"
        begun = bool(find(checkpoints))
        process = start([command, "--resume", output, "--checkpoint-every", 0] if begun else begin(output, 0))
        before = find(checkpoints)[:1]
        if random.random() < 0.8:  # most moments of interest come after the imports
            wait_until(partial(_moved_on, checkpoints, before), process)
            time.sleep(float(random.uniform(0, 0.3)))
        else:
            time.sleep(float(random.uniform(0, 3)))
        code, errors = kill(process)
        problems = damaged_files(output) if output.exists() else []
        # A model without checkpoints: it is whole, the kill came too late or among the samples.
        whole = not find(checkpoints) and (output / weights).exists()
        if code == 0 or (code == -signal.SIGKILL and whole):
            ended += 1
            if (output / weights).read_bytes() == wanted:
                equal += 1
            else:
                problems.append("the model differs from that of a run left alone")
            output, step = folder / f"killed-{index}", 0
        elif code != -signal.SIGKILL:
            problems.append(f"exit code {code}: {errors.strip()[-300:]}")
        elif find(checkpoints):
            newest = int(read_newest(checkpoints)["step"])
            if newest < step:
                problems.append(f"the newest checkpoint went back from step {step} to {newest}")
            step = newest
        survived += not problems
        findings += [f"kill {index}: {problem}" for problem in problems]
    if find(output / "checkpoints"):
        code, errors = finish(start([command, "--resume", output]))
        same = code == 0 and (output / weights).read_bytes() == wanted
        ended, equal = ended + 1, equal + same
        if not same:
            findings.append(f"the last resume: code {code}, {errors.strip()[-300:]}")
    result = f"{survived}/{count} survived; {equal} of {ended} runs ended in the bytes of one left alone"
    what = f"SIGKILL of {command}, resumed each time"
    return Row("kills", what, result, "all", not findings, tuple(findings[:9]))


def _segment(folder: Path, count: int, seed: int) -> Row:
    """Kill the segmentation of a folder, into the same output folder each time."""
    random, findings = np.random.default_rng(seed + 1), list[str]()
    model, output = write_model(folder / "model"), folder / "segmented"
    pictures = write_pictures(folder / "many", 400)[0].parent
    survived = 0
    for index in range(count):
        process = start(["segment", pictures, "--model", model, "-o", output, "--overwrite", "--entropy"])
        began = time.time()
        wait_until(partial(_newer, output, began), process)
        time.sleep(float(random.uniform(0, 1)))
        kill(process)
        problems = damaged_files(output)
        survived += not problems
        findings += [f"kill {index}: {problem}" for problem in problems]
    names = len([path for path in output.rglob("*.png") if not path.name.startswith(".")])
    result = f"{survived}/{count} survived; {names} files, all whole"
    return Row("kills", "SIGKILL of segment on a folder", result, "all", not findings, tuple(findings[:9]))


def _moved_on(checkpoints: Path, before: list[Path]) -> bool:
    """Whether there is a newer checkpoint than before."""
    from pixelcluster.resuming.snapshots import find

    return find(checkpoints)[:1] != before


def _newer(folder: Path, began: float) -> bool:
    """Whether a file was written after a moment."""
    return folder.exists() and any(path.stat().st_mtime >= began for path in folder.glob("*.png"))


def signals_section(count: int, seed: int = 0) -> list[Row]:
    """Ask `count` trainings and as many segmentations to stop, by SIGTERM and by Ctrl-C in turn."""
    from pixelcluster.resuming.snapshots import read_newest

    random = np.random.default_rng(seed)
    findings, seconds, segmented = list[str](), [], []
    with TemporaryDirectory() as name:
        folder = Path(name)
        pictures = write_pictures(folder / "pictures", N_IMAGES)[0].parent
        model = write_model(folder / "model")
        many = write_pictures(folder / "many", 400)[0].parent
        for index in range(count):
            number = (signal.SIGTERM, signal.SIGINT)[index % 2]
            output = folder / f"run-{index}"
            process = start(train_arguments(pictures, output))
            wait_until(partial(_moved_on, output / "checkpoints", []), process)
            time.sleep(float(random.uniform(0, 0.2)))
            began = time.perf_counter()
            code, errors = kill(process, number)
            seconds.append(time.perf_counter() - began)
            if code != 128 + number or "stopped, saved at step" not in errors:
                findings.append(f"train {index}: code {code}, {errors.strip()[-300:]}")
            elif int(read_newest(output / "checkpoints")["step"]) < 1 or damaged_files(output):
                findings.append(f"train {index}: no whole checkpoint")
            output = folder / f"out-{index}"
            process = start(["segment", many, "--model", model, "-o", output])
            wait_until(partial(_newer, output, 0.0), process)
            time.sleep(float(random.uniform(0, 0.5)))
            began = time.perf_counter()
            code, errors = kill(process, number)
            segmented.append(time.perf_counter() - began)
            left = [path.name for path in output.glob(".*")]
            if code != 128 + number or damaged_files(output) or left:
                findings.append(f"segment {index}: code {code}, {left}, {errors.strip()[-300:]}")
    exits = "exit 143 or 130"
    return [
        Row(
            "signals",
            "SIGTERM or Ctrl-C of train, until saved and ended",
            f"{count} times, median {np.median(seconds):.2f} s, longest {max(seconds):.2f} s",
            exits,
            not findings,
            tuple(findings[:9]),
        ),
        Row(
            "signals",
            "SIGTERM or Ctrl-C of segment, until ended",
            f"{count} times, median {np.median(segmented):.2f} s, longest {max(segmented):.2f} s",
            f"{exits}, no temporary left",
            not findings,
        ),
    ]
