"""What the trained rivals share: random crops, a second view of them, and a loop that keeps a time budget."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pixelcluster import clock
from pixelcluster.baselines.base import Baseline, FloatImage, LabelMap, Mask, check_channels, filled
from pixelcluster.baselines.per_pixel.network import STRIDE, grow
from pixelcluster.data.augment import photometric_view
from pixelcluster.data.crops import random_crop
from pixelcluster.device import choose_device
from pixelcluster.errors import PixelClusterError
from pixelcluster.seeding import seeded
from pixelcluster.targets.grid import to_grid

Network = TypeVar("Network", bound=nn.Module)


class Batch(NamedTuple):
    """Random crops.

    Attributes:
        images: (B, C, S, S) in [0, 1], RGB or RGB and infrared.
        views: the same crops, each in other colours (see `photometric_view`) and half of them flipped.
        flipped: (B,) bool, the views that are.
        cells: (B, S / 4, S / 4) float, 1 where at least half of a cell's pixels are unmasked, else 0.
    """

    images: Tensor
    views: Tensor
    flipped: Tensor
    cells: Tensor


class Crops:
    """Draws batches of crops from images of any sizes.

    Args:
        images: each with its mask, see `filled`.
        size: side of a crop, px; smaller images are padded with 0 and the padding is masked.
        batch_size: crops a batch.
        seed: of places, order and views.
        device: where batches are wanted.
    """

    def __init__(
        self,
        images: Sequence[tuple[FloatImage, Mask]],
        *,
        size: int,
        batch_size: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.images = images
        self._size, self._batch_size, self._device = size, batch_size, device
        self._rng = np.random.default_rng(seed)
        self._queue: list[int] = []

    def draw(self) -> Batch:
        """Return a batch; every image comes once before one comes again."""
        crops, masks, views = [], [], []
        for _ in range(self._batch_size):
            image, mask = self.images[self._next()]
            crop, inside = random_crop(image, mask.astype(np.uint8), self._size, self._rng, ignore_index=0)
            crops.append(crop)
            masks.append(inside > 0)
            views.append(photometric_view(crop, int(self._rng.integers(2**31))))
        flipped = torch.from_numpy(self._rng.random(self._batch_size) < 0.5)
        shares = to_grid(torch.from_numpy(np.stack(masks))[:, None].float(), STRIDE)[:, 0]
        batch = Batch(as_tensor(crops), flip(as_tensor(views), flipped), flipped, (shares >= 0.5).float())
        return Batch(*(part.to(self._device) for part in batch))

    def _next(self) -> int:
        if not self._queue:
            self._queue = self._rng.permutation(len(self.images)).tolist()
        return self._queue.pop()


def as_tensor(images: Sequence[FloatImage]) -> Tensor:
    """Return (B, C, H, W) of images (H, W, C) of one size."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def flip(values: Tensor, flipped: Tensor) -> Tensor:
    """Mirror those of values (B, ..., W) that `flipped` (B,) names; twice gives the values back."""
    return torch.where(flipped.view(-1, *[1] * (values.ndim - 1)), values.flip(-1), values)


@dataclass(eq=False)
class TrainedBaseline(Baseline, Generic[Network]):
    """A per-pixel method that trains a network by stochastic gradients on random crops.

    Deviations that all of them share: the small trunk of `network.py`; masked pixels of training images are
    in the mean colour of the others, so that they have no influence at all; the number of steps follows from
    the time budget. A fit that ends by its steps is reproducible, one that ends by its budget is so on an
    equally fast machine only.

    Args:
        n_clusters: K.
        seed: of weights, crops and views.
        device: "auto", "cpu" or "cuda".
        minutes: time budget of the training; at least one step is taken.
        steps: at most.
        crop: side of a training crop, px, a multiple of 16 from 32 up.
        batch_size: crops a step; two at least, as most objectives compare images.
        learning_rate: Adam's.

    Attributes:
        network_: after the fit, in evaluation mode.
        losses_: the objective of every step, to be minimised.
        n_channels_: of the images of the fit: 3, or 4 with infrared.
    """

    _: KW_ONLY
    steps: int = 100_000
    crop: int = 128
    batch_size: int = 8
    learning_rate: float = 1e-3
    network_: Network = field(init=False)
    losses_: list[float] = field(init=False)
    n_channels_: int = field(init=False)

    @abstractmethod
    def build(self, n_channels: int) -> Network:
        """Return the untrained network for images of `n_channels`, 3 or 4.

        Its weights may come from torch's global stream, which is seeded.
        """

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Return the objective of a batch, a scalar."""

    @abstractmethod
    def scores(self, images: Tensor) -> Tensor:
        """Return what is largest for the label, (B, K, h, w) at stride 4, of images (B, C, H, W)."""

    def train(self, crops: Crops, deadline: float) -> list[float]:
        """Return the losses of the whole training."""
        return self.descend(crops, self.steps, deadline)

    def descend(self, crops: Crops, steps: int, deadline: float) -> list[float]:
        """Take Adam steps until their number or the time is reached, one at least.

        Args:
            crops: where batches come from.
            steps: at most.
            deadline: of `clock.now()`.

        Returns:
            The loss of every step.

        Raises:
            PixelClusterError: the loss is no longer finite.
        """
        optimiser = torch.optim.Adam(self.network_.parameters(), self.learning_rate)
        losses: list[float] = []
        while len(losses) < steps and not (losses and clock.now() > deadline):
            value = self.loss(crops.draw())
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(value.detach()))
            if not np.isfinite(losses[-1]):
                raise PixelClusterError(
                    f"loss is {losses[-1]} at step {len(losses)}; give images in [0, 1] or a lower rate"
                )
        return losses

    def finish(self, images: Sequence[tuple[FloatImage, Mask]]) -> None:
        """Do what comes after the training (K-means on features); most methods need nothing."""

    def fit(
        self, images: Sequence[FloatImage], masks: Sequence[Mask] | None = None
    ) -> TrainedBaseline[Network]:
        """Train, see `Baseline.fit`.

        Raises:
            PixelClusterError: no unmasked pixel, another number of masks than images, channels that are not 3
                or 4, an unknown device, a crop of another size than wanted, or a loss that is not finite.
        """
        if self.crop < 32 or self.crop % 16:
            raise PixelClusterError(f"crop is {self.crop} px; wanted a multiple of 16 from 32 up")
        deadline = clock.now() + 60 * self.minutes
        self.device_ = choose_device(self.device)
        usable = filled(images, masks)
        self.n_channels_ = usable[0][0].shape[2]
        crops = Crops(usable, size=self.crop, batch_size=self.batch_size, seed=self.seed, device=self.device_)
        # Layers know no other stream than the global one, which is put back afterwards.
        with seeded(self.seed):
            self.network_ = self.build(self.n_channels_).to(self.device_).train()
        self.losses_ = self.train(crops, deadline)
        self.network_.eval()
        self.finish(usable)
        return self

    @torch.no_grad()
    def predict(self, image: FloatImage) -> LabelMap:
        """Return the label map (H, W) int32 of one image: scores grown bilinearly, then the largest.

        Raises:
            PixelClusterError: other channels than in the fit.
        """
        check_channels([image], [self.n_channels_])
        scores = self.scores(as_tensor([image]).to(self.device_))
        labels: LabelMap = grow(scores, image.shape[:2])[0].argmax(0).to("cpu", torch.int32).numpy()
        return labels
