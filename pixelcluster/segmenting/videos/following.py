"""What one frame of a video leaves to the next: marginals moved along the optical flow, and the latent field.

Source of the flow: Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016 (OpenCV's DIS).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelcluster.model.dynamic import STAY, estimate_stay, log_transition

Picture = NDArray[np.uint8]
Flow = NDArray[np.float32]

_SHORTEST, _LONGEST = 16, 32_000  # pixels; DIS matches patches of 8, and OpenCV warps no more
_PATCH = 9  # pixels
_CLEARLY = 0.7  # of the error without motion: below it a motion is believed
_STRANGE = 8.0  # times the usual error: above it a pixel has come into view
_OUTSIDE = 1e5  # pixels


@dataclass
class Trail:
    """The state between frames of one image, or of one tile of it; empty before the first.

    Attributes:
        picture: (H, W, 3) uint8, the last frame.
        marginals: (K, h, w) of its labels, on a grid not finer than the picture.
        z: (1, d, hz, wz), its latent field, where there is one.
        n_frames: so far.
        stay: share of the labels that stayed in the frame last led.
    """

    picture: Picture | None = None
    marginals: Tensor | None = None
    z: Tensor | None = None
    n_frames: int = 0
    stay: float = STAY

    def lead(
        self, picture: Picture, base: Tensor, log_likelihood: Tensor | None, *, thin: int = 1
    ) -> Tensor | None:
        """Return what the last frame adds to the log prior of the labels of this one.

        Args:
            picture: (H, W, 3) uint8, this frame.
            base: (K, h, w) pi of this frame alone; or (K, 1, 1).
            log_likelihood: (K, h, w) log p(x_p | y_p = k) of this frame, of every `thin`-th row and column;
                None: not known cell by cell, and the stay probability has its default.
            thin: see there.

        Returns:
            (K, h, w), or None before the first frame.
        """
        if self.picture is None or self.marginals is None:
            return None
        shape = (self.marginals.shape[1], self.marginals.shape[2])
        carried = carry(self.marginals, backward_flow(_shrink(picture, shape), _shrink(self.picture, shape)))
        carried += (1 - carried.sum(0)) * base  # what comes into view has no history
        self.stay = STAY
        if log_likelihood is not None:
            self.stay = estimate_stay(carried[:, ::thin, ::thin], base[:, ::thin, ::thin], log_likelihood)
        return log_transition(carried, base, self.stay)

    def leave(self, picture: Picture, marginals: Tensor, z: Tensor | None = None) -> None:
        """Take over what this frame leaves to the next."""
        self.picture, self.marginals, self.z = picture, marginals, z
        self.n_frames += 1


Trails = dict[tuple[int, int], Trail]
"""By the first row and column of their tiles."""


def backward_flow(picture: Picture, before: Picture) -> Flow:
    """Estimate the motion from a frame back to the one before.

    Args:
        picture: (H, W, 3) uint8 RGB.
        before: of the same shape.

    Returns:
        (H, W, 2), columns and rows to add to a pixel's place to find it in the frame before: 0 where no
        motion explains the frame clearly better (or the frame is too small or large to tell), and out of the
        frame where nothing in the frame before looks like it.
    """
    flow = np.zeros((*picture.shape[:2], 2), np.float32)
    if min(picture.shape[:2]) < _SHORTEST or max(picture.shape[:2]) > _LONGEST:
        return flow
    grey, old = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (picture, before))
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    found: Flow = np.asarray(dis.calc(grey, old, flow.copy()), dtype=np.float32)
    # Noise has a flow too, which would let still outlines wander.
    still, moved = (_local_error(grey, _warp(old, way, cv2.BORDER_REPLICATE)) for way in (flow, found))
    better = moved < _CLEARLY * still
    flow[better] = found[better]
    error = np.where(better, moved, still)
    flow[error > _STRANGE * (np.median(error) + 1)] = _OUTSIDE
    return flow


def carry(field: Tensor, flow: Flow) -> Tensor:
    """Move a field (K, H, W) of the frame before to this frame, bilinearly; 0 where nothing was in view."""
    if not flow.any():
        return field.clone()
    planes = [_warp(plane, flow, cv2.BORDER_CONSTANT) for plane in field.numpy()]
    return torch.from_numpy(np.stack(planes))


def _warp(plane: NDArray[Any], flow: Flow, border: int) -> NDArray[np.float32]:
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    across, down = columns + flow[..., 0], rows + flow[..., 1]
    plane = plane.astype(np.float32)
    warped = cv2.remap(plane, across, down, cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(warped, dtype=np.float32)


def _local_error(grey: NDArray[Any], guess: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the squared difference, averaged over a patch around each pixel."""
    return np.asarray(cv2.blur((grey - guess) ** 2, (_PATCH, _PATCH)), dtype=np.float32)


def _shrink(picture: Picture, shape: tuple[int, int]) -> Picture:
    small = cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)
