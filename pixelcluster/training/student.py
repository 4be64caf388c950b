"""The amortised student: one forward pass of a segmentation network that answers as the chains do.

It learns from the chains (`training.lessons`), starts those of new images, and alone is the fast mode.

Source: feature pyramid, Kirillov et al., Panoptic Feature Pyramid Networks, CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.config import StudentSettings
from pixelcluster.seeding import seeded
from pixelcluster.targets.encoder_weights import load_encoder

MULTIPLE = 32
"""Sides a five-stage encoder wants; two of them at least, as a single cell cannot be normalised."""
STRIDE = 4
"""Side of a cell of the decoder's output, in pixels of the input."""


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
        with seeded(seed):  # segmentation-models-pytorch draws its weights from the global stream
            self.network = smp.FPN(
                f"tu-{settings.encoder}",
                encoder_weights=None,
                classes=n_clusters,
                decoder_pyramid_channels=64,
                decoder_segmentation_channels=32,
                decoder_dropout=0.0,
                upsampling=1,
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

    def forward(self, images: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """Return logits (B, K, H, W) of images (B, 3, H, W) in [0, 1], any size; `size` as of `encode`."""
        logits = self.decode(self.encode(images, size))
        return functional.interpolate(logits, size=images.shape[2:], mode="bilinear", align_corners=False)

    def encode(self, images: Tensor, size: Sequence[int] | None = None) -> list[Tensor]:
        """Return the encoder's pyramid, at strides 4 to 32 of the enlarged input.

        Args:
            images: (B, 3, H, W) in [0, 1].
            size: of the enlarged input, multiples of 32 from 64 up; None: what the input scale makes of H, W.
        """
        wanted = size or [
            max(2 * MULTIPLE, round(side * self.input_scale / MULTIPLE) * MULTIPLE)
            for side in images.shape[2:]
        ]
        enlarged = functional.interpolate(images, size=wanted, mode="bilinear", align_corners=False)
        inputs = ((enlarged - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        pyramid: list[Tensor] = self.network.encoder(inputs)[-4:]
        return pyramid

    def decode(self, pyramid: list[Tensor]) -> Tensor:
        """Return logits (B, K, h, w) at stride 4 of the enlarged input."""
        logits: Tensor = self.network.segmentation_head(self.network.decoder(pyramid))
        return logits
