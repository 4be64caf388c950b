"""A fitted model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pixelcluster.config import RunConfig
from pixelcluster.model.prior import LabelPrior
from pixelcluster.targets.base import TargetStack
from pixelcluster.targets.grid import to_grid
from pixelcluster.training.build import AnyGenerator

if TYPE_CHECKING:
    from pixelcluster.training.student import Student


@dataclass
class TrainedModel:
    """Everything inference needs.

    Attributes:
        config: the settings, with the number of clusters found.
        stack: image -> normalised targets.
        generator: G and its noise.
        prior: p(y).
        student: the amortised start and fast mode, or None.
        history: one entry per epoch.
    """

    config: RunConfig
    stack: TargetStack
    generator: AnyGenerator
    prior: LabelPrior
    student: Student | None = None
    history: list[dict[str, object]] = field(default_factory=list)


@torch.no_grad()
def student_start(student: Student, images: Tensor, label_stride: int) -> Tensor:
    """Return the student's label maps on the label grid, (B, h, w), of images (B, 3, H, W)."""
    return to_grid(student(images).softmax(1), label_stride).argmax(1)
