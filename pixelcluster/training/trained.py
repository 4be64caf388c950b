"""A fitted model, and how it is fitted: targets, then chains and student in turn."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pixelcluster.config import RunConfig
from pixelcluster.errors import PixelClusterError
from pixelcluster.model.prior import LabelPrior
from pixelcluster.targets.base import TargetStack, cells_used, to_grid
from pixelcluster.targets.stack import build_stack
from pixelcluster.training.build import AnyGenerator, TrainingImage
from pixelcluster.training.fit import Fit, Progress, best_fit

if TYPE_CHECKING:
    from pixelcluster.training.student import Student

_CHAINS_SHARE = 0.6
"""Of a limited time; the rest is the student's."""

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass
class TrainedModel:
    """Everything inference needs.

    Attributes:
        config: the settings, with the number of clusters found.
        stack: image -> normalised targets.
        generator: G and its noise.
        prior: p(y).
        student: the amortised start and fast mode, or None.
        history: one entry an epoch.
    """

    config: RunConfig
    stack: TargetStack
    generator: AnyGenerator
    prior: LabelPrior
    student: Student | None = None
    history: list[dict[str, object]] = field(default_factory=list)


def fit_model(
    images: Sequence[FloatImage],
    config: RunConfig,
    *,
    masks: Sequence[Mask] | None = None,
    stack: TargetStack | None = None,
    seed: int = 0,
    device: torch.device,
    deadline: float = math.inf,
    progress: Progress | None = None,
) -> TrainedModel:
    """Fit a model to images without labels.

    Args:
        images: (H, W, 3) float32 in [0, 1], at the size the model shall work at.
        config: the settings.
        masks: (H, W) bool an image; False: ignored (a benchmark's rule). None: every pixel counts.
        stack: fitted target stack to use; None: the configured one, fitted to the images.
        seed: of every random choice.
        device: where to compute.
        deadline: `time.monotonic()` to end at; the turn under way is finished.
        progress: called with step, objective, shares, steps_per_second, seconds_left.

    Raises:
        PixelClusterError: no image, fewer label cells than clusters, or a stack that cannot be built.
    """
    if not images:
        raise PixelClusterError("no images to fit; give at least one")
    tensors = [torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1) for image in images]
    targets = config.targets
    used = None if masks is None else [torch.from_numpy(mask) for mask in masks]
    if stack is None:
        stack = build_stack(targets.stack, label_stride=targets.label_stride, options=targets.options)
        stack.to(device).fit([tensor.to(device) for tensor in tensors], masks=used, seed=seed)
    training_images = [
        prepare(stack, tensor, None if used is None else used[index], device)
        for index, tensor in enumerate(tensors)
    ]
    settings = config.student
    now = time.monotonic()
    chains_until = now + _CHAINS_SHARE * (deadline - now) if settings.enabled else deadline
    fit = best_fit(
        training_images, config, seed=seed, device=device, deadline=chains_until, progress=progress
    )
    rounds = settings.rounds if settings.enabled else 1
    student: Student | None = None
    for turn in range(rounds):
        if turn:  # the clusters are learned; this settles what the student changed
            fit.run(-(-config.training.epochs // 4), deadline=deadline, progress=progress)
        if not settings.enabled or time.monotonic() > deadline:
            break
        from pixelcluster.training.student import Student, train_student  # brings timm, seconds to import

        if student is None or student.n_clusters != fit.generator.n_clusters:
            student = Student(fit.generator.n_clusters, settings, seed=seed)
        labels = [_at_pixels(fit, index, image.shape[:2]) for index, image in enumerate(images)]
        loss = train_student(
            student, images, labels, settings, seed=seed + turn, device=device, deadline=deadline
        )
        fit.history.append({"epoch": len(fit.history), "student_loss": loss})
        if turn + 1 < rounds:
            fit.restart(
                [
                    student_start(student, tensor[None].to(device), targets.label_stride)[0].cpu()
                    for tensor in tensors
                ]
            )
    found = fit.config.model_copy(update={"n_clusters": fit.generator.n_clusters})
    return TrainedModel(found, stack, fit.generator.eval(), fit.prior, student, fit.history)


def prepare(stack: TargetStack, image: Tensor, mask: Tensor | None, device: torch.device) -> TrainingImage:
    """Return an image (3, H, W) and its mask (H, W) on the label grid, on the CPU."""
    with torch.no_grad():
        values = stack(image[None].to(device))[0].cpu()
    size = values.shape[1:]
    kept = torch.ones(size, dtype=torch.bool) if mask is None else cells_used(mask, stack.label_stride)
    return TrainingImage(values, kept, to_grid(image[None], stack.label_stride)[0])


@torch.no_grad()
def student_start(student: Student, images: Tensor, label_stride: int) -> Tensor:
    """Return the student's label maps on the label grid, (B, h, w), of images (B, 3, H, W)."""
    return to_grid(student(images).softmax(1), label_stride).argmax(1)


def _at_pixels(fit: Fit, index: int, size: tuple[int, int]) -> FloatImage:
    """Return the chains' probabilities of an image at its pixels, (H, W, K); 0 where masked."""
    probabilities = fit.probabilities[index].float()[None]
    grown = functional.interpolate(probabilities, size=size, mode="bilinear", align_corners=False)
    mask = functional.interpolate(fit.images[index].mask[None, None].float(), size=size)
    result: FloatImage = np.ascontiguousarray((grown * mask)[0].permute(1, 2, 0).numpy())
    return result
