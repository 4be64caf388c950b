"""The networks the methods share: perceptrons, a convolutional encoder and its mirror, an autoencoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pixelcluster.baselines.image_level.learning import descend, minibatches, set_rate

Shape = tuple[int, int, int]
"""C, h, w."""

_SMALLEST_SIDE = 4
_WIDTHS = (16, 32, 64)
_HIDDEN = (300, 300, 600)


def perceptron(widths: Sequence[int], *, normalise: bool = False) -> nn.Sequential:
    """Return linear layers with ReLU between them, none after the last; images are flattened first.

    Args:
        widths: input, hidden and output widths.
        normalise: batch normalisation before every ReLU.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    for index, (inner, outer) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(inner, outer))
        if index < len(widths) - 2:
            layers += [nn.BatchNorm1d(outer), nn.ReLU()] if normalise else [nn.ReLU()]
    return nn.Sequential(*layers)


def halvings(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of an image halved, rounding up, until no side exceeds 4, at most three times."""
    sizes = [(height, width)]
    while max(sizes[-1]) > _SMALLEST_SIDE and len(sizes) <= len(_WIDTHS):
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def conv_encoder(shape: Shape, n_features: int) -> nn.Sequential:
    """Return a network from images (B, C, h, w) to features (B, F): 3 x 3 convolutions of stride 2."""
    sizes = halvings(*shape[1:])
    widths = (shape[0], *_WIDTHS[: len(sizes) - 1])
    layers: list[nn.Module] = []
    for inner, outer in pairwise(widths):
        layers += [nn.Conv2d(inner, outer, 3, stride=2, padding=1), nn.BatchNorm2d(outer), nn.ReLU()]
    flat = widths[-1] * sizes[-1][0] * sizes[-1][1]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(flat, n_features), nn.BatchNorm1d(n_features), nn.ReLU()
    )


def conv_generator(n_inputs: int, shape: Shape) -> nn.Sequential:
    """Return the mirror of `conv_encoder`: inputs (B, n) to logits of pixels (B, C, h, w)."""
    sizes = halvings(*shape[1:])[::-1]
    widths = (*_WIDTHS[: len(sizes) - 1][::-1], shape[0])
    first = (widths[0], *sizes[0])
    flat = first[0] * first[1] * first[2]
    layers: list[nn.Module] = [
        nn.Linear(n_inputs, flat),
        nn.BatchNorm1d(flat),
        nn.ReLU(),
        nn.Unflatten(1, first),
    ]
    for index, (inner, outer) in enumerate(pairwise(widths)):
        if index:
            layers += [nn.BatchNorm2d(inner), nn.ReLU()]
        (height, width), (next_height, next_width) = sizes[index], sizes[index + 1]
        extra = (next_height - 2 * height + 1, next_width - 2 * width + 1)
        layers.append(nn.ConvTranspose2d(inner, outer, 3, stride=2, padding=1, output_padding=extra))
    return nn.Sequential(*layers)


class StackedAutoencoder(nn.Module):
    """The perceptron autoencoder of DEC and VaDE at a third of its width: D-300-300-600-d and back.

    Source: Xie et al., Unsupervised Deep Embedding for Clustering Analysis, ICML 2016, section 4.3 (500, 500
    and 2000 there).

    Args:
        shape: of the images.
        n_codes: d.
        n_outputs: of the encoder, where it gives more than the code (means and variances).
    """

    def __init__(self, shape: Shape, n_codes: int, n_outputs: int | None = None) -> None:
        super().__init__()
        n_pixels = shape[0] * shape[1] * shape[2]
        self.shape, self.n_codes = shape, n_codes
        self.encoder = perceptron((n_pixels, *_HIDDEN, n_outputs or n_codes))
        self.decoder = perceptron((n_codes, *_HIDDEN[::-1], n_pixels))

    def encode(self, images: Tensor) -> Tensor:
        """Return the codes (B, d) of images (B, C, h, w): the first d outputs of the encoder."""
        codes: Tensor = self.encoder(images)[:, : self.n_codes]
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Return (B, C, h, w) of codes (B, d), unbounded."""
        images: Tensor = self.decoder(codes).unflatten(1, self.shape)
        return images


def pretrain(
    network: StackedAutoencoder,
    pixels: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    epochs: int,
    deadline: float,
    random: torch.Generator,
    dropped: float = 0.0,
) -> list[float]:
    """Teach an autoencoder to reconstruct, all layers at once, by Adam.

    DEC and VaDE pretrain layer by layer with stochastic gradients before training all; Adam does without.

    Args:
        network: changed in place.
        pixels: (N, C, h, w) uint8.
        loss: of decoder outputs and images.
        epochs: passes over the images.
        deadline: `clock.now()` at which to stop.
        random: of order and corruption.
        dropped: share of input pixels set to 0 (a denoising autoencoder).

    Returns:
        The loss of every step.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    history = []
    for batch in minibatches(pixels, batch_size=128, epochs=epochs, deadline=deadline, random=random):
        set_rate(optimiser, 1e-3, batch.progress)
        inputs = batch.images
        if dropped:
            inputs = inputs * (torch.rand(inputs.shape, generator=random, device=inputs.device) >= dropped)
        cost = loss(network.decode(network.encode(inputs)), batch.images)
        history.append(descend(optimiser, cost))
    return history
