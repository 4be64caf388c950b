"""What a run looks like while it goes on, for those who watch it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Glimpse:
    """A run at some moment.

    Attributes:
        stage: what it does, in a word.
        share: of the work done, 0 to 1.
        label_map: (h, w) labels as they are now, on whatever grid the stage works on; None: none yet.
        objective: what the stage maximises, as it is now; None: nothing comparable.
    """

    stage: str
    share: float
    label_map: NDArray[np.integer] | None = None
    objective: float | None = None


Watch = Callable[[Glimpse], None]
"""Is called now and then from inside the run; an exception it raises ends the run."""
