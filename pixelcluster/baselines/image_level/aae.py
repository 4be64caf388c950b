"""Adversarial autoencoder with a categorical code: the unsupervised clustering form.

Source: Makhzani, Shlens, Jaitly, Goodfellow and Frey, Adversarial Autoencoders, 2015, section 6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.baselines.image_level.base import ImageBaseline
from pixelcluster.baselines.image_level.learning import descend, minibatches, set_rate
from pixelcluster.baselines.image_level.nets import perceptron
from pixelcluster.seeding import seeded

_N_STYLE = 3
_WIDTH = 400
_RATE = 2e-3
_ADVERSARIAL = 3.0
"""Weight of fooling the discriminators beside the reconstruction, both in nats an image."""
_EPOCHS = 200


class _Networks(nn.Module):
    """Encoder to (y, style), decoder, and one discriminator for each part of the code."""

    def __init__(self, shape: tuple[int, int, int], n_clusters: int) -> None:
        super().__init__()
        n_pixels = shape[0] * shape[1] * shape[2]
        self.shape, self.n_clusters = shape, n_clusters
        self.encoder = perceptron((n_pixels, _WIDTH, _WIDTH, n_clusters + _N_STYLE), normalise=True)
        self.decoder = perceptron((n_clusters + _N_STYLE, _WIDTH, _WIDTH, n_pixels), normalise=True)
        self.judge_y = perceptron((n_clusters, _WIDTH // 4, _WIDTH // 4, 1))
        self.judge_style = perceptron((_N_STYLE, _WIDTH // 4, _WIDTH // 4, 1))

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return y (B, K), a softmax, and style (B, s) of images."""
        code = self.encoder(images)
        return code[:, : self.n_clusters].softmax(1), code[:, self.n_clusters :]

    def decode(self, y: Tensor, style: Tensor) -> Tensor:
        """Return logits of pixels (B, C, h, w)."""
        images: Tensor = self.decoder(torch.cat([y, style], 1)).unflatten(1, self.shape)
        return images


def judged(judge: nn.Module, codes: Tensor, real: bool) -> Tensor:
    """Return the logistic loss of a discriminator that should call all codes real, or none."""
    logits: Tensor = judge(codes)
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


class Aae(ImageBaseline):
    """Adversarial autoencoder, see `ImageBaseline`; the objective is the reconstruction, nats an image.

    The encoder gives a softmax y and a linear style, made to look like one-hot and normal draws by two
    discriminators. It deviates in one joint step that reconstructs and fools (the paper takes turns), in Adam
    instead of SGD with momentum, in batch normalisation of every hidden layer, in Bernoulli pixels, and in a
    style of 3 dimensions and layers of 400 units (1,000 there). The paper reports 16 and 30 clusters, many to
    one; the tables' 10 are harder.
    """

    def _learn(self, pixels: Tensor, deadline: float) -> None:
        with seeded(self.seed):
            shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
            self._networks = nets = _Networks(shape, self.n_clusters).to(pixels.device)
        coder = torch.optim.Adam([*nets.encoder.parameters(), *nets.decoder.parameters()], lr=_RATE)
        judges = torch.optim.Adam(
            [*nets.judge_y.parameters(), *nets.judge_style.parameters()], lr=_RATE, betas=(0.5, 0.999)
        )
        for batch in minibatches(
            pixels, batch_size=128, epochs=_EPOCHS, deadline=deadline, random=self._random
        ):
            set_rate(coder, _RATE, batch.progress)
            set_rate(judges, _RATE, batch.progress)
            y, style = nets.encode(batch.images)
            reconstruction = functional.binary_cross_entropy_with_logits(
                nets.decode(y, style), batch.images, reduction="sum"
            ) / len(batch.images)
            fooled = judged(nets.judge_y, y, True) + judged(nets.judge_style, style, True)
            descend(coder, reconstruction + _ADVERSARIAL * fooled)
            self.history_.append(reconstruction.item())

            real_y, real_style = self._prior(len(y), pixels.device)
            descend(
                judges,
                judged(nets.judge_y, real_y, True)
                + judged(nets.judge_y, y.detach(), False)
                + judged(nets.judge_style, real_style, True)
                + judged(nets.judge_style, style.detach(), False),
            )
        nets.eval()

    def _prior(self, n: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return n one-hot draws of the uniform categorical and n normal styles."""
        labels = torch.randint(self.n_clusters, (n,), generator=self._random, device=device)
        style = torch.randn(n, _N_STYLE, generator=self._random, device=device)
        return functional.one_hot(labels, self.n_clusters).float(), style

    def _assign(self, images: Tensor) -> Tensor:
        return self._networks.encode(images)[0].argmax(1)
