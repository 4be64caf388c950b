"""Runs that must come out the same: resumed, repeated, in another order, on other numbers of threads."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from pixelcluster.config import RunConfig
from pixelcluster.config_file import parse_config
from pixelcluster.resuming.snapshots import Snapshots, read_newest
from pixelcluster.resuming.state_file import State
from pixelcluster.segmenting.predict import label_image
from pixelcluster.segmenting.reader import Reader
from pixelcluster.stopping import Interrupted, StopSignals
from pixelcluster.torture.rows import Row
from pixelcluster.torture.samples import SETTINGS, picture
from pixelcluster.training.model import TrainedModel
from pixelcluster.training.run import fit_model

CPU = torch.device("cpu")
_STUDENT = {"enabled": True, "pretrained": False, "steps": 6, "views": 2, "batch_size": 2}


def resume_section(count: int, seed: int = 0) -> list[Row]:
    """Stop runs after `count` random steps and resume them; every later state must be that of a whole run."""
    random, findings, same = np.random.default_rng(seed), list[str](), 0
    kinds = {"chains": {}, "chains and student": {"student": _STUDENT}}
    for index, (name, changes) in enumerate(kinds.items()):
        config = parse_config({**yaml.safe_load(SETTINGS), **changes})
        whole = Watched(Path("unused"))
        _fit(config, whole)
        trials = count // len(kinds) + (index < count % len(kinds))
        for stop_at in random.integers(1, max(whole.seen) + 1, size=trials).tolist():
            with TemporaryDirectory() as folder:
                with suppress(Interrupted):
                    _fit(config, Watched(Path(folder), stop_at=stop_at))
                resumed = Watched(Path(folder), state=read_newest(Path(folder)))
                _fit(config, resumed)
            wanted = {step: own for step, own in whole.seen.items() if step > stop_at}
            found = {step: own for step, own in resumed.seen.items() if step > stop_at}
            same += found == wanted
            if found != wanted:
                findings.append(f"{name}, stopped after step {stop_at}")
    result = f"{same}/{count} bit-exact"
    return [
        Row(
            "resume", "stopped at a random step and resumed", result, "all", not findings, tuple(findings[:9])
        )
    ]


class Watched(Snapshots):
    """Keeps a digest of the state after every step, and stops after one of them.

    Args:
        folder: of the checkpoints.
        state: to go on from.
        stop_at: step to stop after; None: none.
    """

    def __init__(self, folder: Path, state: State | None = None, stop_at: int | None = None) -> None:
        super().__init__(folder, every=1e9, caller={}, state=state, stop=StopSignals())
        self.stop_at, self.seen = stop_at, dict[int, str]()

    def after_step(self, step: int, describe: Callable[[], State]) -> None:
        """Take the digest, and ask to stop if it is time; then see `Snapshots.after_step`."""
        self.seen[step] = digest({**describe(), "seconds_left": None})
        if self.stop is not None and step == self.stop_at:
            self.stop.received = signal.SIGTERM
        super().after_step(step, describe)


def digest(value: object) -> str:
    """Return a hash of every bit of a nested mapping of tensors and plain values."""
    if isinstance(value, torch.Tensor):
        array = value.detach().cpu().contiguous()
        text = f"{array.dtype}{tuple(array.shape)}".encode() + array.numpy().tobytes()
    elif isinstance(value, dict):
        text = "".join(f"{key}={digest(item)};" for key, item in sorted(value.items())).encode()
    elif isinstance(value, (list, tuple)):
        text = ",".join(digest(item) for item in value).encode()
    else:
        text = repr(value).encode()
    return hashlib.sha256(text).hexdigest()


def seeds_section(count: int, seed: int = 0) -> list[Row]:
    """Fit and label twice from `count` seeds; then in another order of images, and on two threads."""
    config = parse_config(yaml.safe_load(SETTINGS))
    images = _images()
    findings, threads, same = list[str](), 0, 0
    before = torch.get_num_threads()
    for number in range(seed, seed + count):
        first, again = (_labels(_fit(config, None, number), images) for _ in range(2))
        model = _fit(config, None, number)
        order = np.random.default_rng(number).permutation(len(images)).tolist()
        shuffled = dict(zip(order, _labels(model, [images[i] for i in order]), strict=True))
        same += first == again == [shuffled[i] for i in range(len(images))]
        if first != again:
            findings.append(f"seed {number}: another label map the second time")
        elif first != [shuffled[i] for i in range(len(images))]:
            findings.append(f"seed {number}: the order of images matters")
        torch.set_num_threads(2)
        threads += first == _labels(_fit(config, None, number), images)
        torch.set_num_threads(before)
    return [
        Row(
            "seeds",
            "same seed: same bytes of label maps, again and in another order",
            f"{same}/{count}",
            "all",
            not findings,
            tuple(findings[:9]),
        ),
        Row("seeds", "the same on two threads", f"{threads}/{count}", "not promised", True),
    ]


def _images() -> list[NDArray[np.float32]]:
    return [np.divide(picture(number), 255, dtype=np.float32) for number in range(5)]


def _fit(config: RunConfig, snapshots: Snapshots | None, seed: int = 0) -> TrainedModel:
    return fit_model(_images(), config, seed=seed, device=CPU, snapshots=snapshots)


def _labels(model: TrainedModel, images: Sequence[NDArray[np.float32]]) -> list[bytes]:
    reader = Reader(model, "exact", 0, CPU)
    return [label_image(reader, image)[0].tobytes() for image in images]
