"""What target stacks share: raw channels on the label grid, statistics learned without labels, a linear map.

A stack computes raw channels f of an image; its target is x = M (f - mean), with mean and M learned on the
training images. Channels of x have variance 1 on average, so that one sigma means the same on every stack.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.errors import PixelClusterError
from pixelcluster.progress import Progress, silent
from pixelcluster.targets.grid import cell_rows
from pixelcluster.targets.linear_maps import Moments

Stack = TypeVar("Stack", bound="TargetStack")

_ENOUGH = 500
"""Images that statistics are learned on, at most: their cost is that of all features of each."""
_KEPT_BYTES = 1 << 30
"""Of raw channels between the statistics and the map, at most."""


class TargetStack(nn.Module, ABC):
    """Image -> normalised targets on the label grid. Statistics are buffers and belong to the model file.

    Args:
        n_channels: D, channels of the targets.
        label_stride: pixels a label cell and axis.
    """

    def __init__(self, n_channels: int, label_stride: int) -> None:
        super().__init__()
        if label_stride < 1:
            raise PixelClusterError(f"label_stride is a number of pixels, 1 or more, got {label_stride}")
        self.n_channels, self.label_stride = n_channels, label_stride

    @abstractmethod
    def fit_transform(
        self,
        images: Sequence[Tensor],
        *,
        masks: Sequence[Tensor] | None = None,
        seed: int = 0,
        deadline: float = math.inf,
        progress: Progress | None = None,
    ) -> list[Tensor]:
        """Learn the statistics, without labels, and return the targets of the images.

        Args:
            images: each (3, H, W) float RGB in [0, 1], sizes may differ; read several times, may load lazily.
            masks: each (H, W) bool, True where used; a cell with less than half its pixels used is left out.
            seed: seeds what is drawn.
            deadline: `clock.now()` that learning by steps ends at; statistics take the time they need.
            progress: told how far a phase is.

        Returns:
            Targets (D, h, w) of each image on the CPU, bit for bit those of `forward`.

        Raises:
            PixelClusterError: no image, no used cell, or as many masks as images are wanted and not given.
        """

    def fit(
        self: Stack, images: Sequence[Tensor], *, masks: Sequence[Tensor] | None = None, seed: int = 0
    ) -> Stack:
        """Learn the statistics, see `fit_transform`; return the stack itself."""
        self.fit_transform(images, masks=masks, seed=seed)
        return self

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return targets (B, D, ceil(H / stride), ceil(W / stride)) of images (B, 3, H, W), RGB in [0, 1]."""


class LinearStack(TargetStack):
    """A stack that is a linear map of raw channels.

    Args:
        n_raw: C, raw channels.
        n_channels: D, channels after the map; never more than C.
        label_stride: pixels a label cell and axis.
    """

    mean: Tensor
    matrix: Tensor
    fitted: Tensor

    def __init__(self, n_raw: int, n_channels: int, label_stride: int) -> None:
        super().__init__(min(n_channels, n_raw), label_stride)
        self.register_buffer("mean", torch.zeros(n_raw))
        self.register_buffer("matrix", torch.zeros(self.n_channels, n_raw))
        self.register_buffer("fitted", torch.tensor(False))

    @abstractmethod
    def raw(self, images: Tensor) -> Tensor:
        """Return raw channels (B, C, h, w) of images (B, 3, H, W)."""

    @abstractmethod
    def linear_map(self, covariance: Tensor) -> Tensor:
        """Return the map (D, C) from the covariance (C, C) float64 of the raw channels."""

    def learn(
        self,
        images: Sequence[Tensor],
        masks: Sequence[Tensor] | None,
        *,
        seed: int,
        deadline: float,
        progress: Progress,
    ) -> Iterable[Tensor]:
        """Learn what the raw channels themselves need (a dictionary); most stacks need nothing.

        Returns:
            The raw channels of each image, (1, C, h, w).
        """
        return (self.raw(image[None].to(self.mean.device)) for image in images)

    @torch.no_grad()
    def fit_transform(
        self,
        images: Sequence[Tensor],
        *,
        masks: Sequence[Tensor] | None = None,
        seed: int = 0,
        deadline: float = math.inf,
        progress: Progress | None = None,
    ) -> list[Tensor]:
        """Learn mean and map, see `TargetStack.fit_transform`; of more than 500 images on 500, evenly spaced.

        Raw channels are computed once for both where they fit into a gigabyte.
        """
        show = progress or silent
        kept = self._learn_map(images, masks, seed, deadline, show, room=_KEPT_BYTES)
        targets = []
        for index, image in enumerate(images):
            raw = kept.pop(index) if index in kept else self.raw(image[None].to(self.mean.device))
            targets.append(self._map(raw.to(self.mean.device))[0].cpu())
            show({"phase": "computing targets", "share": (index + 1) / len(images)})
        return targets

    @torch.no_grad()
    def fit(
        self: Stack, images: Sequence[Tensor], *, masks: Sequence[Tensor] | None = None, seed: int = 0
    ) -> Stack:
        """Learn mean and map alone, see `fit_transform`; return the stack itself."""
        assert isinstance(self, LinearStack)
        self._learn_map(images, masks, seed, math.inf, silent, room=0)
        return self

    def _learn_map(
        self,
        images: Sequence[Tensor],
        masks: Sequence[Tensor] | None,
        seed: int,
        deadline: float,
        show: Progress,
        *,
        room: int,
    ) -> dict[int, Tensor]:
        """Learn mean and map; return raw channels (1, C, h, w) by image, on the CPU, `room` bytes at most."""
        check_training(images, masks)
        chosen: Sequence[int] = range(len(images))
        if len(images) > _ENOUGH:
            chosen = torch.linspace(0, len(images) - 1, _ENOUGH).round().int().tolist()
        moments = Moments(self.mean.shape[0])
        kept: dict[int, Tensor] = {}
        raws = self.learn(
            [images[index] for index in chosen],
            None if masks is None else [masks[index] for index in chosen],
            seed=seed,
            deadline=deadline,
            progress=show,
        )
        for done, (index, raw) in enumerate(zip(chosen, raws, strict=True), start=1):
            rows = cell_rows(raw[0], None if masks is None else masks[index], self.label_stride)
            moments.add(rows)
            room -= raw.nbytes
            if room >= 0:
                kept[index] = raw.cpu()
            show({"phase": "reading features", "share": done / len(chosen)})
        self.mean.copy_(moments.mean())
        self.matrix.copy_(self.linear_map(moments.covariance()))
        self.fitted.fill_(True)
        return kept

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return targets (B, D, h, w), see `TargetStack.forward`.

        Raises:
            PixelClusterError: the stack has no statistics yet, or images of another shape.
        """
        if not self.fitted:
            raise PixelClusterError(
                "target stack has no statistics: fit it on images or load them from a model"
            )
        if images.ndim != 4 or images.shape[1] != 3:
            raise PixelClusterError(f"images have shape {tuple(images.shape)}, wanted (B, 3, H, W)")
        return self._map(self.raw(images))

    def _map(self, raw: Tensor) -> Tensor:
        """Return targets (B, D, h, w) of raw channels (B, C, h, w)."""
        return functional.conv2d(raw - self.mean[:, None, None], self.matrix[:, :, None, None])


def check_training(images: Sequence[Tensor], masks: Sequence[Tensor] | None) -> None:
    """Refuse training data without images or with another number of masks.

    Raises:
        PixelClusterError: as said.
    """
    if len(images) == 0:
        raise PixelClusterError("no images to learn the target stack from; give at least one")
    if masks is not None and len(masks) != len(images):
        raise PixelClusterError(f"{len(masks)} masks for {len(images)} images; give one an image, or none")
