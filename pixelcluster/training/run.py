"""From images to a fitted model: targets, the best of several fits, then the student."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pixelcluster import clock
from pixelcluster.config import RunConfig
from pixelcluster.errors import PixelClusterError
from pixelcluster.progress import Pace, Progress
from pixelcluster.resuming.identity import check_same_run, fingerprints, of_checkpoint
from pixelcluster.resuming.snapshots import Snapshots
from pixelcluster.resuming.state_file import State
from pixelcluster.targets.base import TargetStack
from pixelcluster.targets.grid import cells_used, to_grid
from pixelcluster.targets.stack import build_stack
from pixelcluster.training import distributed
from pixelcluster.training.batches import mini_batches
from pixelcluster.training.build import TrainingImage
from pixelcluster.training.fit import Fit
from pixelcluster.training.model import TrainedModel
from pixelcluster.training.refusals import NotFiniteError
from pixelcluster.training.restarts import Restarts, best_of
from pixelcluster.training.run_state import Run, restore_run, run_state

_STACK_SHARE = 0.4
"""Share of a limited time for a target stack that learns by steps; others take what they need."""
_CHAINS_SHARE = 0.6
"""Share of what is then left for the chains; the rest is the student's."""

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]


def fit_model(
    images: Sequence[FloatImage],
    config: RunConfig,
    *,
    masks: Sequence[Mask] | None = None,
    seed: int = 0,
    device: torch.device,
    deadline: float = math.inf,
    progress: Progress | None = None,
    snapshots: Snapshots | None = None,
) -> TrainedModel:
    """Fit a model to images without labels.

    Args:
        images: (H, W, 3) float32 in [0, 1], at the size the model shall work at.
        config: the settings.
        masks: (H, W) bool of each image; False: ignored (a benchmark's rule). None: every pixel counts.
        seed: of every random choice.
        device: where to compute.
        deadline: `clock.now()` to end at; the epoch under way is finished.
        progress: see `pixelcluster.progress`.
        snapshots: saves the run now and then; holds the state to go on from, if there is one.

    Raises:
        PixelClusterError: no image, fewer label cells than clusters, or a stack that cannot be built.
        Interrupted: a signal came; the run is saved.
    """
    if not images:
        raise PixelClusterError("no images to fit; give at least one")
    if len(images) < distributed.size():
        raise PixelClusterError(
            f"{len(images)} images for {distributed.size()} processes; start at most one per image"
        )
    saved = None if snapshots is None else snapshots.state
    prints = torch.empty(0) if snapshots is None else fingerprints(images, masks)
    if not torch.equal(prints, distributed.of_lead(lambda: prints)):
        raise PixelClusterError(
            "this process sees other images than the leading one; give every machine the same folder"
        )
    if saved is not None:
        with of_checkpoint():
            check_same_run(saved, config, seed, prints)
    tensors = [torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1) for image in images]
    used = None if masks is None else [torch.from_numpy(mask) for mask in masks]
    if saved is None:
        stack, targets = _learned_stack(tensors, used, config, seed, device, deadline, progress)
    else:
        stack = _new_stack(config, device)
        with of_checkpoint():
            stack.load_state_dict(saved["stack"])
        targets = distributed.spread(tensors, lambda image: _targets(stack, image, device))
    training_images = prepare(targets, tensors, used, stack.label_stride)
    run = Run(seed)
    if saved is not None:
        with of_checkpoint():
            run = restore_run(saved, training_images, config, device)
    if saved is None or deadline < math.inf:
        now = clock.now()
        run.deadline = run.chains_until = deadline
        if config.student.enabled:
            run.chains_until = now + _CHAINS_SHARE * (deadline - now)

    def save() -> None:
        if snapshots is not None:
            snapshots.after_step(run.step, lambda: run_state(run, stack, config, prints))

    shapes = [tuple(image.mask.shape) for image in training_images]
    visits = len([*mini_batches(shapes, config.training.batch_size, seed, 0)]) * config.training.epochs
    follows = "the starts" if config.student.enabled else ""
    pace = Pace(config.training.restarts * visits, until=run.deadline, part=follows)

    def after_visit(facts: Mapping[str, object]) -> None:
        run.step += 1
        if progress is not None:
            progress({**facts, "step": run.step, **pace.facts(run.step)})
        save()

    try:
        fit = best_fit(
            training_images,
            config,
            seed=seed,
            device=device,
            deadline=run.chains_until,
            progress=after_visit,
            at=run.starts,
        )
        if config.student.enabled and fit.probabilities and not distributed.late(run.deadline):
            _teach(run, fit, images, save, progress)
    except NotFiniteError:
        if snapshots is not None and distributed.leads():
            # Under a number of its own: the checkpoint before it may be the last good one.
            snapshots.save(run.step + 1, run_state(run, stack, config, prints))
        distributed.agreed(0)  # nobody leaves before it is saved
        raise
    found = fit.config.model_copy(update={"n_clusters": fit.generator.n_clusters})
    return TrainedModel(found, stack, fit.generator.eval(), fit.prior, run.student, fit.history)


def best_fit(
    images: Sequence[TrainingImage],
    config: RunConfig,
    *,
    seed: int,
    device: torch.device,
    deadline: float = math.inf,
    progress: Progress | None = None,
    at: Restarts[Fit] | None = None,
) -> Fit:
    """Return the fit with the highest objective of `training.restarts`, each from its own start.

    Args:
        images: the training set.
        config: the settings.
        seed: of all starts.
        device: where to compute.
        deadline: `clock.now()` after which no further start is tried.
        progress: see `Fit.run`; it is also told start and starts.
        at: where to go on; it is moved along, so that `progress` can save it.

    Raises:
        PixelClusterError: see `Fit`.
    """
    at, count = at or Restarts(), config.training.restarts

    def tell(facts: Mapping[str, object]) -> None:
        if progress is not None:
            progress({"start": at.done + 1, "starts": count, **facts})

    return best_of(
        count,
        lambda own_seed: Fit(images, config, seed=own_seed, device=device),
        lambda fit: fit.run(config.training.epochs, deadline=deadline, progress=tell),
        seed=seed,
        deadline=deadline,
        at=at,
    )


def _learned_stack(
    images: Sequence[Tensor],
    masks: Sequence[Tensor] | None,
    config: RunConfig,
    seed: int,
    device: torch.device,
    deadline: float,
    progress: Progress | None,
) -> tuple[TargetStack, list[Tensor]]:
    """Return the configured stack, learned by the leading process on images (3, H, W), and their targets."""
    stack = _new_stack(config, device)

    def learned() -> tuple[State, list[Tensor]]:
        now = clock.now()
        until = now + _STACK_SHARE * (deadline - now)
        targets = stack.fit_transform(images, masks=masks, seed=seed, deadline=until, progress=progress)
        return {name: value.cpu() for name, value in stack.state_dict().items()}, targets

    state, targets = distributed.of_lead(learned)
    stack.load_state_dict(state)
    return stack, targets


def _new_stack(config: RunConfig, device: torch.device) -> TargetStack:
    targets = config.targets
    return build_stack(targets.stack, label_stride=targets.label_stride, options=targets.options).to(device)


@torch.no_grad()
def _targets(stack: TargetStack, image: Tensor, device: torch.device) -> Tensor:
    """Return the targets (D, h, w) of an image (3, H, W), on the CPU."""
    values: Tensor = stack(image[None].to(device))[0].cpu()
    return values


def _teach(
    run: Run,
    fit: Fit,
    images: Sequence[FloatImage],
    save: Callable[[], None],
    progress: Progress | None,
) -> None:
    """Train the student on the chains' probabilities."""
    from pixelcluster.training.lessons import Lessons  # brings timm, seconds to import
    from pixelcluster.training.student import Student

    settings = fit.config.student
    if run.student is None:
        run.student = Student(fit.generator.n_clusters, settings, seed=run.seed)
    if run.lessons is None:
        run.lessons = Lessons(run.student, settings, seed=run.seed, device=fit.device)
    lessons, pace = run.lessons, Pace(settings.steps, until=run.deadline)

    def after_step(steps: int) -> None:
        run.step += steps
        if progress is not None:
            facts = {"phase": "teaching the student", "share": lessons.steps / settings.steps}
            progress({**facts, "step": run.step, **(pace.facts(lessons.steps) if steps else {})})
        save()

    loss = lessons.run(
        images,
        lambda index: _at_pixels(fit, index, images[index].shape[:2]),
        deadline=run.deadline,
        progress=after_step,
    )
    run.lessons = None
    fit.history.append({"epoch": len(fit.history), "student_loss": loss})


def prepare(
    targets: Sequence[Tensor], images: Sequence[Tensor], masks: Sequence[Tensor] | None, stride: int
) -> list[TrainingImage]:
    """Return targets (D, h, w) with what else of the images (3, H, W) and masks (H, W) a fit needs."""
    prepared = []
    for index, (values, image) in enumerate(zip(targets, images, strict=True)):
        every = torch.ones(values.shape[1:], dtype=torch.bool)
        kept = every if masks is None else cells_used(masks[index], stride)
        prepared.append(TrainingImage(values, kept, to_grid(image[None], stride)[0]))
    return prepared


def _at_pixels(fit: Fit, index: int, size: tuple[int, int]) -> FloatImage:
    """Return the chains' probabilities of an image at its pixels, (H, W, K); 0 where masked or not finite."""
    if index not in fit.probabilities:
        return np.zeros((*size, fit.generator.n_clusters), np.float32)
    probabilities = fit.probabilities[index].float()[None]
    grown = functional.interpolate(probabilities, size=size, mode="bilinear", align_corners=False)
    mask = functional.interpolate(fit.images[index].mask[None, None].float(), size=size)
    result: FloatImage = np.ascontiguousarray((grown * mask)[0].permute(1, 2, 0).numpy())
    return result
