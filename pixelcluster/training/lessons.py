"""The training of a student on the chains' own label probabilities.

It sees each image as it is, and jittered, flipped and cropped views of it whose targets go through the same
geometry. A frozen encoder's features are computed once per view, and only the decoder learns.

Source: chains started by a network, Xie et al., Cooperative Training of Descriptor and Generator Networks,
TPAMI 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pixelcluster import clock
from pixelcluster.config import StudentSettings
from pixelcluster.data.augment import consistency_pair
from pixelcluster.resuming.state_file import State, load_optimiser, optimiser_state
from pixelcluster.training import distributed
from pixelcluster.training.refusals import ALLOWED, ALLOWED_SHARE, NotFiniteError
from pixelcluster.training.student import STRIDE, Student

_CACHE_BYTES = 2_000_000_000
"""Bytes of frozen features that are kept; where more would be needed, fewer views are made."""


class View(NamedTuple):
    """One thing to learn from: an image (3, H, W) or its frozen pyramid (C, h, w), and a target (K, h, w)."""

    inputs: list[Tensor]
    target: Tensor


class Lessons:
    """The training of a student on the chains' probabilities. `run` moves it on.

    Args:
        student: changed in place.
        settings: views, steps, batch size and learning rate.
        seed: of the order and the views.
        device: where to compute.
        state: of `state_dict`, to go on from; the student has the weights of that moment.

    Attributes:
        steps: taken so far.
        losses: of those steps whose loss was finite, nats per pixel; the others left the weights unchanged.
    """

    def __init__(
        self,
        student: Student,
        settings: StudentSettings,
        *,
        seed: int,
        device: torch.device,
        state: State | None = None,
    ) -> None:
        self.student = student.to(device).to(memory_format=torch.channels_last)
        self.settings, self.seed, self.device = settings, seed, device
        self.steps, self.losses = 0, list[float]()
        self._parameters = [parameter for parameter in student.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(self._parameters, settings.learning_rate, weight_decay=1e-2)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, settings.learning_rate, total_steps=max(settings.steps, 2)
        )
        if state is not None:
            self.steps, self.losses = int(state["steps"]), [float(loss) for loss in state["losses"]]
            load_optimiser(self.optimiser, state["optimiser"])
            place = int(state["place"])
            self._schedule.load_state_dict({"last_epoch": place, "_step_count": place + 1})

    def state_dict(self) -> State:
        """Return everything the next step depends on, but for the student's weights and the arguments.

        Views and order come anew from the seed, so no generator state is among it.
        """
        return {
            "steps": self.steps,
            "losses": self.losses,
            "optimiser": optimiser_state(self.optimiser),
            "place": self._schedule.last_epoch,
        }

    def run(
        self,
        images: Sequence[NDArray[np.float32]],
        targets: Callable[[int], NDArray[np.float32]],
        *,
        deadline: float = math.inf,
        progress: Callable[[int], None] | None = None,
    ) -> float | None:
        """Take the steps that are left; the student ends in evaluation mode.

        Args:
            images: (H, W, 3) float32 in [0, 1].
            targets: from the index of an image to (H, W, K) float32 probabilities, all zero where masked; one
                at a time, as all of them take more memory than anything else.
            deadline: `clock.now()` after which no further step is taken.
            progress: called with the number of steps just taken: 0 after each view, 1 after each step.

        Returns:
            Mean loss of the last tenth of the steps, nats per pixel; None where the deadline left no step.

        Raises:
            NotFiniteError: more than 2 plus a tenth of the losses were not finite.
        """
        student, settings = self.student.train(), self.settings
        rng = np.random.default_rng(self.seed)
        progress = progress or (lambda steps: None)
        views = _views(student, images, targets, settings.views, rng, self.device, progress)
        begun, place = clock.now(), self._schedule.last_epoch
        for batch in islice(_batches(views, settings.batch_size, rng), self.steps, None):
            if self.steps == settings.steps or distributed.late(deadline):
                break
            # An encoder that learns is normalised over its batch: every process then takes all of it.
            error, cells = self._error(batch[distributed.own(len(batch))] if student.frozen else batch)
            loss = error / distributed.total(cells).clamp_min(1.0)
            self.optimiser.zero_grad()
            value = distributed.total(loss.detach())
            if value.isfinite():
                if loss.requires_grad:
                    loss.backward()  # type: ignore[no-untyped-call]
                distributed.sum_gradients(self._parameters)
                self.losses.append(float(value))
            self.optimiser.step()  # without gradients it does nothing
            self.steps += 1
            self._follow_schedule(begun, place, deadline)
            refused = self.steps - len(self.losses)
            if refused > ALLOWED + ALLOWED_SHARE * self.steps:
                raise NotFiniteError(
                    f"step {self.steps} of the student: {refused} losses were not finite; start again with a "
                    "lower student.learning_rate"
                )
            progress(1)
        student.eval()
        last = self.losses[-max(1, len(self.losses) // 10) :]
        return float(np.mean(last)) if last else None

    def _follow_schedule(self, begun: float, place: int, deadline: float) -> None:
        """Set the learning rate for the next step: by the clock where time ends before the steps do.

        Args:
            begun: when this run began.
            place: where in the schedule it did.
            deadline: of the run.
        """
        done, total = self.steps, self.settings.steps
        if deadline < math.inf:
            share = (clock.now() - begun) / max(deadline - begun, 1e-9)
            done = max(done, distributed.agreed(place + int(share * (total - place))))
        while self._schedule.last_epoch < min(done, total):
            self._schedule.step()

    def _error(self, views: Sequence[View]) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy summed over views, nats, and the cells it is a sum over; 0 of none."""
        if not views:
            return torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        student = self.student
        levels = zip(*(view.inputs for view in views), strict=True)
        inputs = [torch.stack(level).to(self.device, torch.float32) for level in levels]
        wanted = torch.stack([view.target for view in views]).to(self.device, torch.float32)
        logits = student.decode(inputs if student.frozen else student.encode(inputs[0]))
        wanted = functional.interpolate(wanted, size=logits.shape[2:], mode="area")
        return -(wanted * logits.log_softmax(1)).sum(), wanted.sum()


@torch.no_grad()
def _views(
    student: Student,
    images: Sequence[NDArray[np.float32]],
    targets: Callable[[int], NDArray[np.float32]],
    n_views: int,
    rng: np.random.Generator,
    device: torch.device,
    progress: Callable[[int], None],
) -> list[View]:
    """Return the plain images, then changed views of them, until all are there or the cache is full."""
    views: list[View] = []
    n_bytes, at_once = 0, distributed.size()
    for turn in range(n_views):
        order = rng.permutation(len(images)).tolist()
        for start in range(0, len(order), at_once):
            group, states = [], []
            for index in order[start : start + at_once]:
                seed = int(rng.integers(2**31)) if turn else None
                group.append((index, seed))
                states.append(rng.bit_generator.state)
            made = distributed.spread(
                group, lambda one: _view(student, images[one[0]], targets(one[0]), one[1], device)
            )
            for view, state in zip(made, states, strict=True):
                views.append(view)
                progress(0)
                n_bytes += sum(level.nbytes for level in [*view.inputs, view.target])
                if n_bytes > _CACHE_BYTES:
                    rng.bit_generator.state = state  # as if the rest of the group had not been drawn
                    return views
    return views


def _view(
    student: Student,
    image: NDArray[np.float32],
    target: NDArray[np.float32],
    seed: int | None,
    device: torch.device,
) -> View:
    """Return an image and its target as they are, or with a seed changed together, on the CPU."""
    if seed is not None:
        image, moved = consistency_pair(image, target, seed)
        target = moved.astype(np.float32, copy=False)
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    inputs = [pixels]
    if student.frozen:
        inputs = [level[0].half().cpu() for level in student.encode(pixels[None].to(device))]
    # The loss is taken at the decoder's stride: finer targets would only be averaged there.
    size = [max(1, round(side * student.input_scale / STRIDE)) for side in pixels.shape[1:]]
    planes = torch.from_numpy(target).permute(2, 0, 1)[None]
    return View(inputs, functional.interpolate(planes, size=size, mode="area")[0].half())


def _batches(views: Sequence[View], batch_size: int, rng: np.random.Generator) -> Iterator[list[View]]:
    """Yield batches of views of one size for ever, all views once per pass, in random order."""
    by_size: dict[tuple[torch.Size, torch.Size], list[View]] = {}
    for view in views:
        by_size.setdefault((view.inputs[0].shape, view.target.shape), []).append(view)
    while True:
        batches = []
        for own in by_size.values():
            order = rng.permutation(len(own)).tolist()
            starts = range(0, len(own), batch_size)
            batches += [[own[i] for i in order[start : start + batch_size]] for start in starts]
        for i in rng.permutation(len(batches)).tolist():
            yield batches[i]
