"""A trained model, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pixelcluster.arguments import Mode
from pixelcluster.training.model import TrainedModel


@dataclass(frozen=True)
class Reader:
    """Reads pictures with a trained model.

    Attributes:
        model: fitted.
        mode: "fast" asks the student alone; "exact" runs the chains, started by the student.
        seed: of the chains.
        device: where to compute.
    """

    model: TrainedModel
    mode: Mode
    seed: int
    device: torch.device

    def asks_student(self, scribbles: NDArray[np.int32] | None) -> bool:
        """Whether the student alone answers: known labels need the chains, which clamp them."""
        return self.mode == "fast" and self.model.student is not None and scribbles is None
