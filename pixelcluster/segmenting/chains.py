"""The chains of one picture under a trained model, and how both they and the student follow a video."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelcluster.model.dynamic import DRIFT, DynamicPrior
from pixelcluster.sampling.noise import Streams
from pixelcluster.sampling.posterior import infer
from pixelcluster.segmenting.alone.guided import marks_on_grid
from pixelcluster.segmenting.reader import Reader
from pixelcluster.segmenting.videos.following import Trail
from pixelcluster.segmenting.watch import Glimpse, Watch
from pixelcluster.targets.grid import cells_used, to_grid
from pixelcluster.training.build import label_grid
from pixelcluster.training.model import TrainedModel, student_start

_REPEATED = 4.0
"""Divisor of a student's likelihood in what it leaves to the next frame: errors that repeat would add up."""


def run_chains(
    reader: Reader,
    pixels: Tensor,
    *,
    mask: NDArray[np.bool_] | None,
    scribbles: NDArray[np.int32] | None,
    watch: Watch | None,
    trail: Trail | None,
    place: tuple[int, int],
) -> Tensor:
    """Run the chains of one picture.

    Args:
        reader: a model, and how it is asked.
        pixels: (1, 3, H, W) in [0, 1], at the working size, on the device.
        mask: (H, W) bool; False: the pixel is no evidence.
        scribbles: (H, W) known labels, -1 elsewhere.
        watch: is shown the chains after every round.
        trail: of the frames of a video so far; this one follows them and is added.
        place: row and column of the picture in a larger one. What an image is called does not matter.

    Returns:
        The log of the chains' averaged conditionals, (K, h, w) on the label grid, on the CPU.
    """
    model, device = reader.model, reader.device
    sampler, stride = model.config.sampler, model.stack.label_stride
    with torch.no_grad():
        x = model.stack(pixels)
        z = torch.zeros(1, *model.generator.trunk.latent_shape(*x.shape[2:]), device=device)
        if trail is not None and trail.z is not None:
            z = trail.z.to(device)
        used = None
        if mask is not None:
            used = cells_used(torch.from_numpy(mask), stride)[None].to(device)
        evidence = None
        if model.student is None or trail is not None:
            evidence = model.generator.evidence(x, model.generator.trunk(z, x.shape[2:]))
        if model.student is not None:
            label_map = student_start(model.student, pixels, stride)
        elif isinstance(evidence, Tensor):
            label_map = evidence.argmax(1)
        else:
            label_map = torch.zeros(1, *x.shape[2:], dtype=torch.int64, device=device)
    prior, drift, step = model.prior, None, 0
    if trail is not None:
        base = prior.unary(x.shape[2], x.shape[3]).exp().cpu()
        closed = evidence[0].cpu() / sampler.tempering if isinstance(evidence, Tensor) else None
        history, step = trail.lead(_levels(pixels), base, closed), trail.n_frames
        if history is not None:
            prior = DynamicPrior.after(prior, history.to(device))
            rho = DRIFT * trail.stay  # after a cut the latent field is a new one too
            drift = (rho * z, math.sqrt(1 - rho**2))
    clamp = None
    if scribbles is not None:
        grid = marks_on_grid(scribbles, (x.shape[2], x.shape[3]))
        clamp = torch.from_numpy(grid).long()[None].to(device)
    rounds, merged = sampler.inference_rounds, model.config.clusters.merged

    def show(done: int, labels: Tensor, log_joint: Tensor) -> None:
        if watch is not None:
            shown = [merged.get(k, k) for k in range(model.generator.n_clusters)]
            label_map = np.array(shown, np.int32)[labels[0].cpu().numpy()]
            watch(Glimpse("chains", done / rounds, label_map, float(log_joint[0])))

    posterior = infer(
        Streams(reader.seed, [f"predict-{place[0]}-{place[1]}"], step, device=device),
        x,
        model.generator,
        prior,
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
        clamp=clamp,
        drift=drift,
        after_round=show,
    )
    if trail is not None:
        trail.leave(_levels(pixels), posterior.probabilities[0].cpu(), posterior.z.cpu())
    return posterior.probabilities[0].clamp_min(1e-6).log().cpu()


def follow_student(model: TrainedModel, logs: Tensor, pixels: Tensor, trail: Trail) -> Tensor:
    """Filter the student's answer of a frame by what the frame before leaves to it.

    Args:
        model: fitted.
        logs: (K, h, w) the student's log-probabilities, taken as log p(y | x) under the model's prior.
        pixels: (1, 3, H, W) in [0, 1].
        trail: of the frames so far; this one is added.

    Returns:
        (K, h, w) log p(y | this frame and those before).
    """
    picture = _levels(pixels)
    base = model.prior.unary(logs.shape[1], logs.shape[2]).exp().cpu()
    log_base = base.clamp_min(1e-6).log()
    likelihood = (logs - log_base) / _REPEATED
    history = trail.lead(picture, base, likelihood)
    if history is None:
        history = torch.zeros_like(logs)
    trail.leave(picture, (log_base + likelihood + history).softmax(0))
    return (logs + history).log_softmax(0)


def _levels(pixels: Tensor) -> NDArray[np.uint8]:
    """Return pixels (1, 3, H, W) in [0, 1] as (H, W, 3) uint8."""
    levels: NDArray[np.uint8] = (pixels[0].permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
    return levels
