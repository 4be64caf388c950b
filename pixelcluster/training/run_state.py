"""A training run as a whole as a nested mapping of tensors and numbers, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pixelcluster import clock
from pixelcluster.config import RunConfig
from pixelcluster.resuming.identity import identity
from pixelcluster.resuming.state_file import State
from pixelcluster.targets.base import TargetStack
from pixelcluster.training.build import TrainingImage
from pixelcluster.training.fit import Fit
from pixelcluster.training.fit_state import fit_state
from pixelcluster.training.restarts import Restarts

if TYPE_CHECKING:
    from pixelcluster.training.lessons import Lessons
    from pixelcluster.training.student import Student


@dataclass
class Run:
    """Where a run stands.

    Attributes:
        seed: of every random choice.
        starts: the restarts; its best fit goes on after the last of them.
        student: the student, once there is one.
        lessons: its training, while it is under way.
        step: steps taken, of whatever kind; it numbers the checkpoints.
        deadline: `clock.now()` the run ends at.
        chains_until: `clock.now()` the restarts end at.
    """

    seed: int
    starts: Restarts[Fit] = field(default_factory=Restarts)
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
    student = run.student
    return {
        **identity(config, run.seed, images),
        "stack": stack.state_dict(),
        "starts": run.starts.state(fit_state),
        "student": None
        if student is None
        else {"n_clusters": student.n_clusters, "weights": student.state_dict()},
        "lessons": None if run.lessons is None else run.lessons.state_dict(),
        "step": run.step,
        "seconds_left": [clock.seconds_left(end) for end in (run.deadline, run.chains_until)],
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

    def fit(own: State) -> Fit:
        return Fit(images, config, seed=int(own["seed"]), device=device, state=own)

    deadline, chains_until = map(clock.in_seconds, state["seconds_left"])
    run = Run(
        int(state["seed"]),
        Restarts.of_state(state["starts"], fit),
        step=int(state["step"]),
        deadline=deadline,
        chains_until=chains_until,
    )
    if state["student"] is not None:
        from pixelcluster.training.lessons import Lessons  # brings timm, seconds to import
        from pixelcluster.training.student import Student

        run.student = Student(int(state["student"]["n_clusters"]), config.student, load_weights=False)
        run.student.load_state_dict(state["student"]["weights"])
        run.student.to(device).to(memory_format=torch.channels_last).eval()
        if state["lessons"] is not None:
            run.lessons = Lessons(
                run.student, config.student, seed=run.seed, device=device, state=state["lessons"]
            )
    return run
