"""What each part of the model adds: a fit a variant and seed, scored as `per_pixel.fit_and_score` scores it.

Target stacks are computed once a stack and seed and remembered; variants with equal settings share a fit.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pixelcluster.arguments import Mode
from pixelcluster.config import RunConfig
from pixelcluster.data.labelled import LabelledImage
from pixelcluster.device import choose_device
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.per_pixel import predict_labels, score, working_item
from pixelcluster.evaluation.variants import Variant
from pixelcluster.progress import Progress
from pixelcluster.segmenting.estimator import PixelCluster
from pixelcluster.targets.base import TargetStack
from pixelcluster.targets.stack import build_stack
from pixelcluster.training.build import TrainingImage
from pixelcluster.training.model import TrainedModel
from pixelcluster.training.run import best_fit, prepare


@dataclass
class VariantResult:
    """The scores of a variant so far.

    Attributes:
        variant: what was changed.
        acc: percent, by seed.
        miou: percent, by seed.
        seconds: of the fit without the target stack, by seed; the student's fits compute their own stack.
        error: why it has no scores, by seed.
    """

    variant: Variant
    acc: dict[int, float] = field(default_factory=dict)
    miou: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    error: dict[int, str] = field(default_factory=dict)


class RememberedStack(TargetStack):
    """A stack that computes the targets of an image once.

    Args:
        stack: the stack.
    """

    def __init__(self, stack: TargetStack) -> None:
        super().__init__(stack.n_channels, stack.label_stride)
        self.stack = stack
        self._known: dict[bytes, Tensor] = {}

    def fit_transform(
        self,
        images: Sequence[Tensor],
        *,
        masks: Sequence[Tensor] | None = None,
        seed: int = 0,
        deadline: float = math.inf,
        progress: Progress | None = None,
    ) -> list[Tensor]:
        """Fit the stack and remember, see `TargetStack.fit_transform`."""
        targets = self.stack.fit_transform(
            images, masks=masks, seed=seed, deadline=deadline, progress=progress
        )
        pairs = zip(images, targets, strict=True)
        self._known = {_digest(image[None]): values[None] for image, values in pairs}
        return targets

    def forward(self, images: Tensor) -> Tensor:
        """Return the targets, see `TargetStack.forward`."""
        key = _digest(images)
        if key not in self._known:
            self._known[key] = self.stack(images)
        return self._known[key].to(images.device)


def _digest(images: Tensor) -> bytes:
    return hashlib.sha256(images.detach().cpu().contiguous().numpy().tobytes()).digest()


@dataclass(frozen=True)
class PreparedTargets:
    """The training set under one stack and seed."""

    stack: RememberedStack
    images: list[TrainingImage]


def prepare_targets(
    items: Sequence[LabelledImage], config: RunConfig, *, seed: int, device: str
) -> PreparedTargets:
    """Fit the configured stack on the items, without labels, as `training.run.fit_model` does.

    Args:
        items: images and masks.
        config: names the stack.
        seed: of the stack.
        device: "auto", "cpu" or "cuda".
    """
    targets, where = config.targets, choose_device(device)
    built = build_stack(targets.stack, label_stride=targets.label_stride, options=targets.options)
    stack = RememberedStack(built.to(where))
    working = [working_item(item, config) for item in items]
    tensors = [torch.from_numpy(item.rgb).permute(2, 0, 1) for item in working]
    masks = [torch.from_numpy(item.mask) for item in working]
    values = stack.fit_transform(tensors, masks=masks, seed=seed)
    return PreparedTargets(stack, prepare(values, tensors, masks, stack.label_stride))


def run_ablation(
    items: Sequence[LabelledImage],
    config: RunConfig,
    variants: Sequence[Variant],
    *,
    n_classes: int,
    seeds: Sequence[int],
    device: str = "auto",
    progress: Progress | None = None,
    report: Callable[[Sequence[VariantResult], str], None] | None = None,
) -> list[VariantResult]:
    """Fit and score every variant with every seed; one that fails is noted and the others go on.

    Args:
        items: images with labels and masks.
        config: the full model.
        variants: what to change.
        n_classes: C, also K.
        seeds: one fit each.
        device: "auto", "cpu" or "cuda".
        progress: see `training.fit.Fit.run`.
        report: called after each fit with the results so far and a line that says what was done.

    Returns:
        One result a variant, in their order.
    """
    config = config.model_copy(update={"n_clusters": n_classes})
    results = [VariantResult(variant) for variant in variants]
    for jobs in _by_stack(results, config):
        for seed in seeds:
            prepared = None
            for settings, sharing in jobs:
                names = ", ".join(result.variant.name for result in sharing)
                try:
                    if prepared is None and not settings.student.enabled:
                        prepared = prepare_targets(items, settings, seed=seed, device=device)
                    started = time.perf_counter()
                    trained = _fit(items, settings, prepared, seed=seed, device=device, progress=progress)
                    seconds = time.perf_counter() - started
                    _score(sharing, trained, items, n_classes, seed=seed, device=device, seconds=seconds)
                    line = f"seed {seed}: {names}: ACC {sharing[0].acc[seed]:.2f}, {seconds:.0f} s"
                except PixelClusterError as error:
                    for result in sharing:
                        result.error[seed] = str(error)
                    line = f"seed {seed}: {names}: failed: {error}"
                if report is not None:
                    report(results, line)
    return results


def _by_stack(
    results: Sequence[VariantResult], config: RunConfig
) -> Iterator[list[tuple[RunConfig, list[VariantResult]]]]:
    """Yield the fits of each stack, so that one stack is in memory at a time; equal settings are one fit."""
    fits: list[tuple[RunConfig, list[VariantResult]]] = []
    for result in results:
        settings = result.variant.apply(config)
        sharing = next((own for known, own in fits if known == settings), None)
        if sharing is None:
            fits.append((settings, [result]))
        else:
            sharing.append(result)
    while fits:
        targets = fits[0][0].targets
        yield [job for job in fits if job[0].targets == targets]
        fits = [job for job in fits if job[0].targets != targets]


def _fit(
    items: Sequence[LabelledImage],
    config: RunConfig,
    prepared: PreparedTargets | None,
    *,
    seed: int,
    device: str,
    progress: Progress | None,
) -> TrainedModel:
    """Return the fitted model; without a student it learns from the remembered targets."""
    if prepared is None or config.student.enabled:
        estimator = PixelCluster(config=config, seed=seed, device=device)
        working = [working_item(item, config) for item in items]
        images, masks = [item.rgb for item in working], [item.mask for item in working]
        return estimator.fit(images, masks=masks, progress=progress).model_
    fit = best_fit(prepared.images, config, seed=seed, device=choose_device(device), progress=progress)
    return TrainedModel(config, prepared.stack, fit.generator.eval(), fit.prior, None, fit.history)


def _score(
    sharing: Sequence[VariantResult],
    trained: TrainedModel,
    items: Sequence[LabelledImage],
    n_classes: int,
    *,
    seed: int,
    device: str,
    seconds: float,
) -> None:
    """Score a model in every mode its variants ask for."""
    scores: dict[Mode, Mapping[str, float]] = {}
    for result in sharing:
        mode: Mode = (result.variant.mode or trained.config.mode) if trained.student is not None else "exact"
        if mode not in scores:
            maps = [predict_labels(trained, item, mode, seed, device) for item in items]
            scores[mode] = score(maps, items, trained.generator.n_clusters, n_classes)
        result.acc[seed], result.miou[seed] = scores[mode]["acc"], scores[mode]["miou"]
        result.seconds[seed] = seconds
