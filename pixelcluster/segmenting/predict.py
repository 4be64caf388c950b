"""From a trained model and an image to cluster probabilities of its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pixelcluster.data.folder import limit_side
from pixelcluster.model.prior import LabelPrior
from pixelcluster.sampling.noise import Streams
from pixelcluster.sampling.posterior import infer
from pixelcluster.targets.base import to_grid
from pixelcluster.training.build import label_grid
from pixelcluster.training.trained import TrainedModel, student_start

Mode = Literal["fast", "exact"]

_TILE = 512
_OVERLAP = 64
_STRIP_PIXELS = 1_000_000


def predict_log_probabilities(
    model: TrainedModel,
    image: NDArray[np.float32],
    *,
    mode: Mode,
    seed: int,
    device: torch.device,
    mask: NDArray[np.bool_] | None = None,
) -> Tensor:
    """Return log p(y = k | image) at the model's working size, (K, h, w), on the CPU.

    Args:
        model: fitted.
        image: (H, W, 3) float32 in [0, 1] at the working size.
        mode: "fast" asks the student alone; "exact" runs the chains, started by the student.
        seed: of the chains.
        device: where to compute.
        mask: (H, W) bool; False: the pixel is no evidence (a benchmark's rule).
    """
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].to(device)
    if mode == "fast" and model.student is not None:
        with torch.no_grad():
            logits: Tensor = model.student(pixels)
            return logits.log_softmax(1)[0].cpu()
    return _chains(model, pixels, seed, device, mask)


def label_image(
    model: TrainedModel,
    image: NDArray[np.float32],
    *,
    mode: Mode,
    seed: int,
    device: torch.device,
    probabilities: bool = False,
) -> tuple[NDArray[np.int32], NDArray[np.float32] | None]:
    """Label every pixel of an image of any size.

    The image is shrunk to the size the model was trained at, or, where the model works at native resolution,
    cut into overlapping tiles whose log-probabilities are blended. Memory grows with K times the label cells,
    not with K times the pixels.

    Args:
        model: fitted.
        image: (H, W, 3) float32 in [0, 1].
        mode: see `predict_log_probabilities`.
        seed: of the chains.
        device: where to compute.
        probabilities: also return them.

    Returns:
        Labels (H, W) int32, and probabilities (K, H, W) float32 or None.
    """
    side = model.config.targets.image_side
    if side is not None:
        logs = predict_log_probabilities(model, limit_side(image, side), mode=mode, seed=seed, device=device)
    else:
        logs = _tiled(model, image, mode=mode, seed=seed, device=device)
    height, width = image.shape[:2]
    labels = np.empty((height, width), np.int32)
    soft = np.empty((len(logs), height, width), np.float32) if probabilities else None
    for rows, values in _grown(logs, height, width):
        labels[rows] = values.argmax(0).numpy()
        if soft is not None:
            soft[:, rows] = values.softmax(0).numpy()
    return labels, soft


def _chains(
    model: TrainedModel, pixels: Tensor, seed: int, device: torch.device, mask: NDArray[np.bool_] | None
) -> Tensor:
    """Return the log of the chains' averaged conditionals, (K, h, w) on the label grid."""
    sampler, stride = model.config.sampler, model.stack.label_stride
    with torch.no_grad():
        x = model.stack(pixels)
        z = torch.zeros(1, *model.generator.trunk.latent_shape(*x.shape[2:]), device=device)
        used = None
        if mask is not None:
            used = to_grid(torch.from_numpy(mask)[None, None].float(), stride)[0].to(device) >= 0.5
        if model.student is not None:
            label_map = student_start(model.student, pixels, stride)
        else:
            evidence = model.generator.evidence(x, model.generator.trunk(z, x.shape[2:]))
            if callable(evidence):
                label_map = torch.zeros(1, *x.shape[2:], dtype=torch.int64, device=device)
            else:
                label_map = evidence.argmax(1)
    rounds = sampler.inference_rounds
    posterior = infer(
        Streams(seed, ["predict"], device=device),
        x,
        model.generator,
        model.prior,
        label_grid(model.generator, model.prior, to_grid(pixels, stride), used),
        z,
        label_map,
        rounds=rounds,
        burn_in=rounds // 2,
        step_size=sampler.step_size,
        langevin_steps=sampler.langevin_steps,
        gibbs_sweeps=sampler.gibbs_sweeps,
        temperature=sampler.temperature,
        tempering=sampler.tempering,
        mask=used,
    )
    return posterior.probabilities[0].clamp_min(1e-6).log().cpu()


def _tiled(
    model: TrainedModel, image: NDArray[np.float32], *, mode: Mode, seed: int, device: torch.device
) -> Tensor:
    """Return blended log-probabilities on the label grid, (K, h, w), of an image at native resolution."""
    stride = model.stack.label_stride
    height, width = image.shape[:2]
    n_clusters = model.generator.n_clusters
    step = max(1, (_TILE - _OVERLAP) // stride) * stride  # tiles begin where a label cell does
    grid = (-(-height // stride), -(-width // stride))
    total, weight = torch.zeros(n_clusters, *grid), torch.zeros(grid)
    last_row, last_column = max(height - _TILE + step, 1), max(width - _TILE + step, 1)
    for top in range(0, last_row, step):
        rows = slice(top // stride, min(-(-(top + _TILE) // stride), grid[0]))
        own = replace(model, prior=_band(model.prior, rows, grid[0]))
        for left in range(0, last_column, step):
            tile = image[top : top + _TILE, left : left + _TILE]
            logs = predict_log_probabilities(own, tile, mode=mode, seed=seed, device=device)
            if mode == "fast" and model.student is not None:
                logs = to_grid(logs[None], stride)[0]
            size = (logs.shape[1], logs.shape[2])
            ramp = _ramp(size[0], _OVERLAP // stride)[:, None] * _ramp(size[1], _OVERLAP // stride)
            columns = slice(left // stride, left // stride + size[1])
            total[:, rows, columns] += logs * ramp
            weight[rows, columns] += ramp
    return total / weight


def _band(prior: LabelPrior, rows: slice, height: int) -> LabelPrior:
    """Return the prior of some rows of cells of an image of height rows: they keep their position in it."""
    if prior.rows is None:
        return prior
    table = functional.interpolate(prior.rows.T[None], size=height, mode="linear")[0, :, rows].T
    return replace(prior, rows=table)


def _ramp(length: int, overlap: int) -> Tensor:
    """Return weights of one axis of a tile, (length,), falling to both ends over the overlap."""
    distance = torch.minimum(torch.arange(length), torch.arange(length).flip(0)) + 1.0
    return (distance / max(overlap, 1)).clamp_max(1.0)


def _grown(logs: Tensor, height: int, width: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield strips of log-probabilities (K, rows, W), bilinearly grown from (K, h, w) to height x width."""
    n_rows = max(1, _STRIP_PIXELS // width)
    maps = logs.permute(1, 2, 0).numpy()
    for top in range(0, height, n_rows):
        rows = slice(top, min(top + n_rows, height))
        strip = _resample_rows(maps, rows, height)
        planes = [
            cv2.resize(plane, (width, rows.stop - rows.start), interpolation=cv2.INTER_LINEAR)
            for plane in strip
        ]
        yield rows, torch.from_numpy(np.stack(planes))


def _resample_rows(maps: NDArray[np.float32], rows: slice, height: int) -> NDArray[np.float32]:
    """Return the rows of maps (h, w, K) that lie under output rows, (K, rows, w), bilinear between rows."""
    source = (np.arange(rows.start, rows.stop) + 0.5) * maps.shape[0] / height - 0.5
    source = source.clip(0, maps.shape[0] - 1)
    above = np.floor(source).astype(int)
    below = np.minimum(above + 1, maps.shape[0] - 1)
    share = (source - above).astype(np.float32)[:, None, None]
    strip = maps[above] * (1 - share) + maps[below] * share
    return np.ascontiguousarray(np.moveaxis(strip, -1, 0))
