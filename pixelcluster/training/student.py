"""The amortised student: one forward pass of a segmentation network that answers as the chains do.

It is trained on the chains' own label probabilities, on the image as it is and on a jittered, flipped and cropped
view of it, whose target went through the same geometry. It starts the chains of new images, and alone it is the
fast mode.

Sources: amortised starts of short-run chains, Nijkamp et al., NeurIPS 2019; feature pyramid, Kirillov et al., CVPR 2019.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import segmentation_models_pytorch as smp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.config import StudentSettings
from pixelcluster.data.augment import consistency_pair
from pixelcluster.targets.encoder_weights import load_encoder

_MULTIPLE = 32
"""Sides a five-stage encoder wants."""


class Student(nn.Module):
    """A feature pyramid network from images to cluster logits.

    Args:
        n_clusters: K.
        settings: encoder, whether it is pretrained (and then frozen), and the input scale.
        seed: of the weights that are learned.
        load_weights: False leaves pretrained weights to a later `load_state_dict`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, n_clusters: int, settings: StudentSettings, *, seed: int = 0, load_weights: bool = True
    ) -> None:
        super().__init__()
        self.n_clusters, self.input_scale = n_clusters, settings.input_scale
        self.frozen = settings.pretrained
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # segmentation-models-pytorch draws its weights from the global stream
            self.network = smp.FPN(
                f"tu-{settings.encoder}",
                encoder_weights=None,
                classes=n_clusters,
                decoder_pyramid_channels=64,
                decoder_segmentation_channels=32,
                decoder_dropout=0.0,
            )
        mean = std = (0.5, 0.5, 0.5)
        if self.frozen and load_weights:
            encoder, mean, std = load_encoder(settings.encoder)
            self.network.encoder.load_state_dict(encoder.state_dict())
        self.network.encoder.requires_grad_(not self.frozen)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def train(self, mode: bool = True) -> Student:
        """Set training mode; a frozen encoder keeps its batch statistics."""
        super().train(mode)
        if self.frozen:
            self.network.encoder.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K, H, W) of images (B, 3, H, W) in [0, 1], any size."""
        size = images.shape[2:]
        wanted = [max(_MULTIPLE, round(side * self.input_scale / _MULTIPLE) * _MULTIPLE) for side in size]
        enlarged = functional.interpolate(images, size=wanted, mode="bilinear", align_corners=False)
        inputs = ((enlarged - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.network(inputs)
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def train_student(
    student: Student,
    images: Sequence[NDArray[np.float32]],
    targets: Sequence[NDArray[np.float32]],
    settings: StudentSettings,
    *,
    seed: int,
    device: torch.device,
    deadline: float = math.inf,
    progress: Callable[[float], None] | None = None,
) -> list[float]:
    """Fit the student to the chains' probabilities.

    Args:
        student: changed in place; left in evaluation mode.
        images: (H, W, 3) float32 in [0, 1].
        targets: (H, W, K) float32 probabilities; all zero where masked.
        settings: epochs, batch size, learning rate, weight of consistency.
        seed: of the order and the views.
        device: where to compute.
        deadline: `time.monotonic()` after which no further epoch begins.
        progress: called with the share done.

    Returns:
        Mean loss of each epoch, nats a pixel.
    """
    student.to(device, memory_format=torch.channels_last).train()
    parameters = [parameter for parameter in student.parameters() if parameter.requires_grad]
    n_steps = settings.epochs * sum(1 for _ in _batches(images, settings.batch_size, np.random.default_rng(0)))
    optimiser = torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=n_steps)
    rng = np.random.default_rng(seed)
    history, step = [], 0
    for _ in range(settings.epochs):
        if time.monotonic() > deadline:
            break
        losses = []
        for batch in _batches(images, settings.batch_size, rng):
            views = [consistency_pair(images[i], targets[i], int(rng.integers(2**31))) for i in batch]
            loss = _loss(student, [images[i] for i in batch], [targets[i] for i in batch], device)
            loss = loss + settings.consistency * _loss(student, *map(list, zip(*views, strict=True)), device)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
            step += 1
            if progress is not None:
                progress(step / n_steps)
        history.append(float(np.mean(losses)))
    student.eval()
    return history


def _batches(
    images: Sequence[NDArray[np.float32]], batch_size: int, rng: np.random.Generator
) -> list[list[int]]:
    """Return batches of indices of images of one size, in random order."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for i in rng.permutation(len(images)).tolist():
        by_size.setdefault(images[i].shape, []).append(i)
    batches = [own[i : i + batch_size] for own in by_size.values() for i in range(0, len(own), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches)).tolist()]


def _loss(
    student: Student, images: list[NDArray[np.float32]], targets: list[NDArray[np.float32]], device: torch.device
) -> Tensor:
    """Return the cross entropy against soft targets, mean over unmasked pixels, nats."""
    inputs = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(device)
    wanted = torch.from_numpy(np.stack(targets)).permute(0, 3, 1, 2).to(device)
    log_probabilities = student(inputs).log_softmax(1)
    return -(wanted * log_probabilities).sum() / wanted.sum().clamp_min(1.0)
