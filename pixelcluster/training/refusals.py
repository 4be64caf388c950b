"""What was not finite in a fit and therefore thrown away, and when that is too much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from pixelcluster.errors import PixelClusterError
from pixelcluster.training.build import TrainingImage

ALLOWED, ALLOWED_SHARE = 2, 0.1
"""A fit stops when more than 2 plus a tenth of its image visits were refused."""


class NotFiniteError(PixelClusterError):
    """Too much of a fit was not finite; the run is saved before this reaches the user."""


@dataclass
class Refusals:
    """Counts of one fit.

    A visit to an image is refused where its chain is not finite (the chain starts again) or where the loss or
    a gradient of its batch is not (the parameters stay).

    Attributes:
        visits: to images so far.
        images: refused visits by image.
        proposals: of Langevin that were rejected, see `sampling.langevin`.
    """

    visits: int = 0
    images: Counter[int] = field(default_factory=Counter)
    proposals: int = 0

    def add(self, indices: Sequence[int]) -> None:
        """Count a refused visit of each image."""
        self.images.update(indices)

    def check(self, images: Sequence[TrainingImage], generator: nn.Module) -> None:
        """Stop a fit of which too much was refused.

        Args:
            images: the training set.
            generator: the generator as it stands.

        Raises:
            NotFiniteError: with the step, the share and the likely cause.
        """
        refused = self.images.total()
        if refused > ALLOWED + ALLOWED_SHARE * self.visits:
            raise NotFiniteError(
                f"step {self.visits}: {refused} of {self.visits} visits to images gave values that are not "
                f"finite; {_likely_cause(self.images, images, generator)}"
            )


def _likely_cause(refused: Counter[int], images: Sequence[TrainingImage], generator: nn.Module) -> str:
    """Say what is most likely wrong, and the way out."""
    for index, _ in refused.most_common():
        if not images[index].targets.isfinite().all():
            return f"the targets of image {index + 1} are not finite: leave that image out"
    if not all(parameter.isfinite().all() for parameter in generator.parameters()):
        return "the generator's parameters are not finite: start again with a lower training.learning_rate"
    return "steps are too long: start again with a lower sampler.step_size or training.learning_rate"
