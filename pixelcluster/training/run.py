"""A training run as a whole: what a checkpoint of it holds, and how it goes on from one."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor

from pixelcluster import clock
from pixelcluster.config import RunConfig
from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.targets.base import TargetStack
from pixelcluster.training import distributed
from pixelcluster.training.build import TrainingImage
from pixelcluster.training.fit import Fit
from pixelcluster.training.fit_state import fit_state
from pixelcluster.training.restarts import Restarts
from pixelcluster.training.state_file import State

if TYPE_CHECKING:
    from pixelcluster.training.student import Lessons, Student


@dataclass
class Run:
    """Where a run stands.

    Attributes:
        seed: of every random choice.
        starts: the restarts; its best fit goes on after the last of them.
        turn: turns of student and chains done.
        student: the student, once there is one.
        lessons: its training, while it is under way.
        step: steps taken, of whatever kind; it numbers the checkpoints.
        deadline: `clock.now()` the run ends at.
        chains_until: `clock.now()` the restarts end at.
    """

    seed: int
    starts: Restarts[Fit] = field(default_factory=Restarts)
    turn: int = 0
    student: Student | None = None
    lessons: Lessons | None = None
    step: int = 0
    deadline: float = math.inf
    chains_until: float = math.inf


def run_state(run: Run, stack: TargetStack, config: RunConfig, images: Tensor) -> State:
    """Return a run as a nested mapping of tensors and numbers, see `state_file`.

    Args:
        run: between two steps.
        stack: fitted.
        config: the settings the run was given.
        images: `fingerprints` of the training set.
    """
    fit, best, student = run.starts.fit, run.starts.best, run.student
    now = clock.now()
    return {
        **identity(config, run.seed, images),
        "stack": stack.state_dict(),
        "starts": {
            "done": run.starts.done,
            "fit": None if fit is None else fit_state(fit),
            "best": None if best is None else fit_state(best),
        },
        "turn": run.turn,
        "student": None
        if student is None
        else {"n_clusters": student.n_clusters, "weights": student.state_dict()},
        "lessons": None if run.lessons is None else run.lessons.state_dict(),
        "step": run.step,
        "seconds_left": [None if end == math.inf else end - now for end in (run.deadline, run.chains_until)],
    }


def restore_run(
    state: State, images: Sequence[TrainingImage], config: RunConfig, device: torch.device
) -> Run:
    """Return the run of a `run_state`; call it inside `of_checkpoint`.

    Args:
        state: the state.
        images: the training set of the run.
        config: the settings of the run.
        device: where to compute.
    """

    def fit(own: State | None) -> Fit | None:
        return None if own is None else Fit(images, config, seed=int(own["seed"]), device=device, state=own)

    starts, ends = state["starts"], [math.inf if left is None else left for left in state["seconds_left"]]
    run = Run(
        int(state["seed"]),
        Restarts(int(starts["done"]), fit(starts["fit"]), fit(starts["best"])),
        turn=int(state["turn"]),
        step=int(state["step"]),
        deadline=clock.now() + ends[0],
        chains_until=clock.now() + ends[1],
    )
    if state["student"] is not None:
        from pixelcluster.training.student import Lessons, Student  # brings timm, seconds to import

        run.student = Student(int(state["student"]["n_clusters"]), config.student, load_weights=False)
        run.student.load_state_dict(state["student"]["weights"])
        run.student.to(device).to(memory_format=torch.channels_last).eval()
        if state["lessons"] is not None:
            run.lessons = Lessons(
                run.student, config.student, seed=run.seed + run.turn, device=device, state=state["lessons"]
            )
    return run


def identity(config: BaseModel, seed: int, images: Tensor) -> State:
    """Return the part of a state that `check_same_run` compares; its arguments are the same."""
    return {
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "made_with": _made_with(),
        "images": images,
    }


def check_same_run(state: State, config: BaseModel, seed: int, images: Tensor) -> None:
    """Refuse to go on with other settings or other images than a run began with.

    Warns:
        PixelClusterWarning: torch, its number of threads or that of processes is another.

    Raises:
        PixelClusterError: as said; the first image that differs is named.
    """
    if type(config).model_validate(state["config"]) != config or int(state["seed"]) != seed:
        raise PixelClusterError("the run was begun with other settings or another seed; give the same ones")
    if state["made_with"] != _made_with():
        warnings.warn(
            f"begun with {state['made_with']}, resumed with {_made_with()}: the result is as good, "
            "but not bit for bit that of an unbroken run",
            PixelClusterWarning,
            stacklevel=3,
        )
    then: Tensor = state["images"]
    if len(then) != len(images):
        raise PixelClusterError(
            f"the run was begun with {len(then)} images, {len(images)} are there now; restore the folder"
        )
    if not torch.equal(then, images):
        index = int((then != images).nonzero()[0])
        raise PixelClusterError(
            f"image {index + 1} of {len(images)} is not the one the run was begun with; restore the folder"
        )


def _made_with() -> dict[str, object]:
    """Return what rounding depends on, besides the machine."""
    processes = {"processes": distributed.size()} if distributed.size() > 1 else {}
    return {"torch": str(torch.__version__), "threads": torch.get_num_threads(), **processes}


def fingerprints(
    images: Sequence[NDArray[np.generic]], masks: Sequence[NDArray[np.bool_]] | None = None
) -> Tensor:
    """Return a number for each image and mask, (N,) int64, that tells whether they are the same."""
    numbers = []
    for index, image in enumerate(images):
        digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=8)
        digest.update(np.ascontiguousarray(image).data)
        if masks is not None:
            digest.update(np.ascontiguousarray(masks[index]).data)
        numbers.append(int.from_bytes(digest.digest(), "little", signed=True))
    return torch.tensor(numbers, dtype=torch.int64)


@contextmanager
def of_checkpoint() -> Iterator[None]:
    """Turn what a state of another version or shape raises into one line.

    Raises:
        PixelClusterError: the block read something that was not there, or of another shape.
    """
    try:
        yield
    except PixelClusterError:
        raise
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PixelClusterError(
            f"the checkpoint is not one of this run and version ({reason}); start again without --resume"
        ) from error
