"""Variational Clustering with a cluster a pixel: the same objective on every cell of a label map.

For each cell of 4 x 4 px, c is its cluster, z its d channels of a field, and what z explains is the texture
stack of the cell (Lab, and energy and orientation of gradients at three scales), and infrared where there is
any. The encoder sees colour and Sobel, or colour and infrared, in a window of 39 px; q(c, z | x) and p(x | z)
factorise over cells, so the sum over c is exact. Clusters agree with those in a jittered, flipped view
displaced by up to two cells, as in IIC (Ji et al., ICCV 2019).

Source: Prasad, Das, Bhowmick, Variational Clustering, 2020 (arXiv 2005.04613), for the mixture; the paper
clusters whole images, the per-pixel form is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
import torch
from torch import Tensor

from pixelcluster import clock
from pixelcluster.baselines.base import FloatImage, LabelMap, Mask
from pixelcluster.baselines.per_pixel.base import MaskedImages, PerPixelBaseline
from pixelcluster.baselines.per_pixel.loop import Crops
from pixelcluster.baselines.per_pixel.network import (
    INPUT_CHANNELS,
    STRIDE,
    WIDTH,
    Trunk,
    as_tensor,
    largest,
    network_input,
)
from pixelcluster.device import choose_device
from pixelcluster.errors import PixelClusterError
from pixelcluster.seeding import seeded
from pixelcluster.targets.grid import cells_used, to_grid
from pixelcluster.targets.texture import TextureStack
from pixelcluster.variational.information import Weights
from pixelcluster.variational.train import Encoded, MixtureVae, TrainSettings, train

_DILATIONS = (1, 1, 2)
"""Of the trunk: the less a cell sees, the less it can tell where in the crop it is."""
_RADIUS = 2
"""Largest displacement between a cell and its partner in the view, cells an axis."""
_STATISTICS = 200
"""Images from which means and scales of what z explains are learned."""
_FLAT = 1e-3
"""Smallest spread of infrared: what is constant stays so."""


@dataclass(frozen=True)
class PixelSettings:
    """Settings of a fit: of the loop, side of a crop in px, and crops a step."""

    train: TrainSettings = field(
        default_factory=lambda: TrainSettings(
            steps=4000,
            learning_rate=1e-3,
            n_latents=8,
            heads=3,
            race=0.4,
            weights=Weights(evidence=0.3, information=0.5, balance=3.0, agreement=1.0),
        )
    )
    crop: int = 128
    batch_size: int = 8


@dataclass(eq=False)
class PixelVariationalClustering(PerPixelBaseline):
    """A mixture VAE over the cells of label maps.

    Args:
        n_clusters: K.
        seed: of weights, crops, views and noise; a fit that `minutes` ends also depends on the machine.
        device: "auto", "cpu" or "cuda".
        minutes: time limit of `fit`.
        settings: of the fit.

    Attributes:
        model_: the fitted model.
        curve_: the objective and its terms, see `train`.
    """

    _: KW_ONLY
    settings: PixelSettings = field(default_factory=PixelSettings)

    def _learn(self, images: MaskedImages, deadline: float) -> None:
        device, settings = choose_device(self.device), self.settings.train
        explained = Explained(images[:: -(-len(images) // _STATISTICS)], device)
        with seeded(self.seed):  # torch draws initial weights from the global stream
            trunk = Trunk(INPUT_CHANNELS[images[0][0].shape[2]], _DILATIONS)
            self.model_ = MixtureVae(trunk, WIDTH, explained.n_channels, self.n_clusters, settings)
        self.model_.to(device)
        size, batch_size = self.settings.crop, self.settings.batch_size
        crops = Crops(images, size=size, batch_size=batch_size, seed=self.seed, device=device)
        random, rng = torch.Generator(device).manual_seed(self.seed), np.random.default_rng(self.seed)

        shown = False

        def encode() -> Encoded:
            nonlocal shown
            displacement = rng.integers(-_RADIUS, _RADIUS + 1, 2).tolist()
            while True:
                batch = crops.draw()
                used = batch.cells > 0
                both = used & _displaced(used, displacement)
                shown = shown or bool(both.any())
                if both.any():
                    break  # else masks hide all of the crops
                if not shown and clock.now() > deadline:
                    raise PixelClusterError(
                        f"no crop of {size} px drawn in {self.minutes:g} minutes shows cells of {STRIDE} px "
                        "that the masks use; give masks of larger areas, or more minutes"
                    )
            plain = self._features(batch.images)
            view = self._features(batch.views)
            view = torch.where(batch.flipped[:, None, None, None], view.flip(2), view)
            observed = explained(batch.images).movedim(1, -1)
            return Encoded(plain[used], observed[used], (plain[both], _displaced(view, displacement)[both]))

        self.curve_ = train(self.model_, encode, settings, random, deadline=deadline)

    @torch.no_grad()
    def _assign(self, image: FloatImage, mask: Mask) -> LabelMap:
        device = next(self.model_.parameters()).device
        log_q = self.model_.head.log_q(self._features(as_tensor([image]).to(device)))
        return largest(log_q.movedim(-1, 1), image.shape[:2])

    def _features(self, images: Tensor) -> Tensor:
        """Return features of cells, (B, h, w, F), of images (B, C, H, W)."""
        features: Tensor = self.model_.trunk(network_input(images))
        return features.movedim(1, -1)


class Explained:
    """What z explains of a cell: the texture stack of its colours, and its mean infrared; of variance 1 each.

    Args:
        images: each with its mask, RGB or RGB and infrared, from which means and scales are learned.
        device: of the images to come.

    Attributes:
        n_channels: D.
    """

    def __init__(self, images: MaskedImages, device: torch.device) -> None:
        tensors = [as_tensor([image]) for image, _ in images]
        masks = [torch.from_numpy(mask) for _, mask in images]
        self._stack = TextureStack(STRIDE).fit([own[0, :3] for own in tensors], masks=masks).to(device)
        cells = torch.cat(
            [
                to_grid(own, STRIDE)[0, 3:, cells_used(mask, STRIDE)]
                for own, mask in zip(tensors, masks, strict=True)
            ],
            1,
        ).to(device)
        mean = cells.mean(1, keepdim=True)
        scale = (cells - mean).square().mean(1, keepdim=True).sqrt().clamp_min(_FLAT)
        self._mean, self._scale = mean[..., None], scale[..., None]
        self.n_channels = self._stack.n_channels + len(cells)

    def __call__(self, images: Tensor) -> Tensor:
        """Return (B, D, h, w) of images (B, C, H, W)."""
        infrared = (to_grid(images, STRIDE)[:, 3:] - self._mean) / self._scale
        return torch.cat([self._stack(images[:, :3]), infrared], 1)


def _displaced(values: Tensor, displacement: Sequence[int]) -> Tensor:
    """Return values (B, h, w, ...) moved by rows and columns; what comes in at the border is 0."""
    rows, columns = displacement
    height, width = values.shape[1:3]
    moved = values.roll((rows, columns), (1, 2))
    kept = torch.zeros((height, width), dtype=torch.bool, device=values.device)
    kept[max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = True
    return moved * kept.view(1, height, width, *[1] * (values.ndim - 3))
