"""NaN put into a fit: found, counted, and left behind, or the reason for a stop that names the cause."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import yaml

from pixelcluster.config_file import parse_config
from pixelcluster.torture.rows import Row
from pixelcluster.torture.samples import SETTINGS, picture
from pixelcluster.training.build import TrainingImage
from pixelcluster.training.fit import Fit
from pixelcluster.training.refusals import NotFiniteError

N_IMAGES = 24


def numbers_section(count: int, seed: int = 0) -> list[Row]:
    """Inject NaN `count` times in each of five ways."""
    return [_try(name, inject, count, seed) for name, inject in INJECTIONS.items()]


def _targets(fit: Fit, random: torch.Generator) -> None:
    """Break a cell of an image's targets, for good."""
    targets = fit.images[int(torch.randint(N_IMAGES, (), generator=random))].targets
    targets[:, int(torch.randint(targets.shape[1], (), generator=random)), 0] = torch.nan


def _chain(fit: Fit, random: torch.Generator) -> None:
    """Break an image's latent field."""
    index = int(torch.randint(N_IMAGES, (), generator=random))
    z, label_map, _ = fit.chains.get([index])
    fit.chains.put([index], torch.full_like(z, torch.nan), label_map)


def _loss(fit: Fit, random: torch.Generator) -> None:
    """Break the loss of one batch."""
    real, owner = fit.generator.log_likelihood, fit.generator

    def once(*arguments: torch.Tensor) -> torch.Tensor:
        del owner.__dict__["log_likelihood"]
        return real(*arguments) * torch.nan

    owner.__dict__["log_likelihood"] = once


def _gradient(fit: Fit, random: torch.Generator) -> None:
    """Break the gradient of one batch, while its loss is finite."""
    parameter = next(fit.generator.parameters())

    def once(gradient: torch.Tensor) -> torch.Tensor:
        handle.remove()
        return gradient * torch.nan

    handle = parameter.register_hook(once)  # type: ignore[no-untyped-call]


def _parameters(fit: Fit, random: torch.Generator) -> None:
    """Break a parameter: nothing can be computed any more."""
    with torch.no_grad():
        next(fit.generator.parameters()).view(-1)[0] = torch.nan


INJECTIONS: dict[str, Callable[[Fit, torch.Generator], None]] = {
    "targets of an image": _targets,
    "chain of an image": _chain,
    "loss of a batch": _loss,
    "gradient of a batch": _gradient,
    "parameters": _parameters,
}


def _try(name: str, inject: Callable[[Fit, torch.Generator], None], count: int, seed: int) -> Row:
    """Run, inject, run on; broken parameters must stop the run and be named, all else must be left behind."""
    config = parse_config(yaml.safe_load(SETTINGS))
    recoverable = inject is not _parameters
    detected, right, findings = 0, 0, list[str]()
    for trial in range(count):
        random = torch.Generator().manual_seed(seed * 1000 + trial)
        fit = Fit(_images(trial), config, seed=trial, device=torch.device("cpu"))
        fit.run(2)
        inject(fit, random)
        stopped = ""
        try:
            fit.run(2)
        except NotFiniteError as error:
            stopped = str(error)
        detected += fit.refusals.images.total() > 0
        finite = math.isfinite(fit.objective) and all(p.isfinite().all() for p in fit.generator.parameters())
        good = (finite and not stopped) if recoverable else "parameters are not finite" in stopped
        right += good
        if not good:
            findings.append(f"trial {trial}: {stopped or 'not finite'}")
    ended = "recovered" if recoverable else "stopped with the cause"
    result = f"{count} injected, {detected} detected, {right} {ended}"
    return Row("nan", name, result, "all", detected == right == count, tuple(findings[:9]))


def _images(seed: int) -> list[TrainingImage]:
    images = []
    for number in range(N_IMAGES):
        targets = torch.from_numpy(picture(seed * N_IMAGES + number, 32, 48)).permute(2, 0, 1)[:, ::4, ::4]
        values = targets.float() / 64 - 2
        images.append(TrainingImage(values, torch.ones(values.shape[1:], dtype=torch.bool), values / 4))
    return images
