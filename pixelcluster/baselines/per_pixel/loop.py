"""What the trained rivals share: random crops, a second view of them, and a loop that keeps a time budget."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pixelcluster.baselines.base import FloatImage, LabelMap, Mask
from pixelcluster.baselines.per_pixel.base import MaskedImages, PerPixelBaseline
from pixelcluster.baselines.per_pixel.network import STRIDE, as_tensor, largest
from pixelcluster.baselines.schedule import Schedule, late_cosine
from pixelcluster.data.augment import photometric_view
from pixelcluster.data.crops import random_crop
from pixelcluster.device import choose_device
from pixelcluster.errors import PixelClusterError
from pixelcluster.seeding import seeded
from pixelcluster.targets.grid import cells_used, to_grid

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
        images: each with its mask.
        size: side of a crop, px; smaller images are padded with 0 and the padding is masked.
        batch_size: crops a batch.
        seed: of places, order and views.
        device: where batches are wanted.
    """

    def __init__(
        self,
        images: MaskedImages,
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


def flip(values: Tensor, flipped: Tensor) -> Tensor:
    """Mirror those of values (B, ..., W) that `flipped` (B,) names; twice gives the values back."""
    return torch.where(flipped.view(-1, *[1] * (values.ndim - 1)), values.flip(-1), values)


@dataclass(eq=False)
class TrainedBaseline(PerPixelBaseline, Generic[Network]):
    """A per-pixel method that trains a network by stochastic gradients on random crops.

    As in the protocol of Ji et al., ICCV 2019, networks see the images as they are: masked pixels are left
    out of the objective, of statistics and of the score.

    Deviations that all of them share: the small trunk of `network.py`; the number of steps follows from the
    time budget, and the learning rate falls to 0 in its last fifth; crops are cut from the images that are
    scored. Of COCO-Stuff these are the centre crops of 128 px, so each has one place only, where the protocol
    crops the shrunk images at random; of Potsdam they are windows of 128 px in patches of 200 px, where the
    protocol trains on whole patches. A fit that ends by its steps is reproducible, one that ends by its
    budget is so on an equally fast machine only.

    Args:
        n_clusters: K.
        seed: of weights, crops and views.
        device: "auto", "cpu" or "cuda".
        minutes: time budget of the training; at least one step is taken.
        steps: at most.
        crop: side of a training crop, px, a multiple of 16 from 32 up.
        batch_size: crops a step; two at least, as most objectives compare images.
        learning_rate: Adam's at the start, see `schedule.late_cosine`.

    Attributes:
        network_: after the fit, in evaluation mode.
        losses_: the objective of every step, to be minimised.
    """

    _: KW_ONLY
    steps: int = 100_000
    crop: int = 128
    batch_size: int = 8
    learning_rate: float = 1e-3
    network_: Network = field(init=False)
    losses_: list[float] = field(init=False)

    @abstractmethod
    def build(self, n_channels: int) -> Network:
        """Return the untrained network for images of `n_channels`, 3 or 4.

        Its weights may come from torch's global stream, which is seeded.
        """

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Return the objective of a batch, a scalar."""

    @abstractmethod
    def scores(self, images: Tensor, cells: Tensor) -> Tensor:
        """Return what is largest for the label, (B, K, h, w) at stride 4.

        Args:
            images: (B, C, H, W).
            cells: (B, h, w), 1 where used, as in `Batch`, for methods that pool over an image.
        """

    def train(self, crops: Crops, schedule: Schedule) -> list[float]:
        """Return the losses of the whole training."""
        return self.descend(crops, self.steps, schedule)

    def descend(self, crops: Crops, steps: int, schedule: Schedule) -> list[float]:
        """Take Adam steps until their number or the end of the schedule is reached.

        Args:
            crops: where batches come from.
            steps: at most.
            schedule: of the whole training, which may hold several calls.

        Returns:
            The loss of every step.

        Raises:
            PixelClusterError: the loss is no longer finite.
        """
        optimiser = torch.optim.Adam(self.network_.parameters(), self.learning_rate)
        losses: list[float] = []
        while len(losses) < steps and (share := schedule.share) < 1:
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate * late_cosine(share)
            value = self.loss(crops.draw())
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(value.detach()))
            schedule.taken += 1
            if not np.isfinite(losses[-1]):
                raise PixelClusterError(
                    f"loss is {losses[-1]} at step {len(losses)}; give images in [0, 1] or a lower rate"
                )
        return losses

    def finish(self, images: MaskedImages) -> None:
        """Do what comes after the training (K-means on features); most methods need nothing."""

    def _learn(self, images: MaskedImages, deadline: float) -> None:
        if self.crop < 32 or self.crop % 16:
            raise PixelClusterError(f"crop is {self.crop} px; wanted a multiple of 16 from 32 up")
        self.device_ = choose_device(self.device)
        crops = Crops(images, size=self.crop, batch_size=self.batch_size, seed=self.seed, device=self.device_)
        # Layers know no other stream than the global one, which is put back afterwards.
        with seeded(self.seed):
            self.network_ = self.build(images[0][0].shape[2]).to(self.device_).train()
        self.losses_ = self.train(crops, Schedule(self.steps, deadline))
        self.network_.eval()
        self.finish(images)

    @torch.no_grad()
    def _assign(self, image: FloatImage, mask: Mask) -> LabelMap:
        cells = cells_used(torch.from_numpy(mask), STRIDE)[None].float()
        scores = self.scores(as_tensor([image]).to(self.device_), cells.to(self.device_))
        return largest(scores, image.shape[:2])
