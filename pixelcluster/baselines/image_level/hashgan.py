"""HashGAN as a clustering method: a GAN whose discriminator shares its weights with a clustering encoder.

Source: Ghasedi Dizaji, Zheng, Sadoughi, Yang, Deng and Huang, Unsupervised Deep Generative Adversarial
Hashing Network, CVPR 2018. Its clustering figures are what the tables quote.

What is the original: three networks (generator, discriminator, encoder), the last two sharing all but their
output layers; on real images the encoder's answers are certain (minimum entropy), evenly used (uniform
frequency) and the same for a moved copy (consistency); on generated images they name the random code the
image was generated from (collaborative loss); the generator matches the mean features of real images.
What is not: the paper hashes, its codes are bits that must also be independent of each other. Clusters are
one softmax over K here, for which independence means nothing, and the generator's binary input is a one-hot
code. Mean features are matched before their last batch norm, behind which all batches have nearly the same.
The views of the consistency, the weights of the terms and the small networks are ours; no code of the
original was used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.baselines.image_level.base import ImageBaseline
from pixelcluster.baselines.image_level.learning import descend, minibatches, set_rate
from pixelcluster.baselines.image_level.nets import conv_encoder, conv_generator
from pixelcluster.data.views import ViewSettings, random_view
from pixelcluster.seeding import seeded

_N_FEATURES = 256
_N_NOISE = 32
_RATE = 2e-3
_EPOCHS = 200
_COLLABORATION = 0.1
_JUDGEMENT = 0.1
"""Weights of the collaborative and of the adversarial loss beside the clustering's."""


def clustering_loss(logits: Tensor, moved: Tensor) -> Tensor:
    """Return the loss on real images: certain, evenly used and consistent clusters.

    Args:
        logits: (B, K).
        moved: (B, K), of a moved copy of each image.

    Returns:
        Scalar, nats: mean entropy - entropy of the mean + cross entropy from an image to its copy.
    """
    log_p = logits.log_softmax(1)
    p, mean = log_p.exp(), log_p.exp().mean(0)
    certainty = -(p * log_p).sum(1).mean()
    balance = (mean * mean.clamp_min(1e-12).log()).sum()
    consistency = -(p.detach() * moved.log_softmax(1)).sum(1).mean()
    return certainty + balance + consistency


class HashGan(ImageBaseline):
    """HashGAN's clustering form, see the module and `ImageBaseline`; the objective is `clustering_loss`."""

    def _learn(self, pixels: Tensor, deadline: float) -> None:
        with seeded(self.seed):
            shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
            self._features = conv_encoder(shape, _N_FEATURES)
            before_norm, end = self._features[:-2], self._features[-2:]
            self._clusters = nn.Linear(_N_FEATURES, self.n_clusters)
            self._judge = nn.Linear(_N_FEATURES, 1)
            self._generator = conv_generator(self.n_clusters + _N_NOISE, shape)
        shared = nn.ModuleList([self._features, self._clusters, self._judge]).to(pixels.device)
        self._generator.to(pixels.device)
        reader = torch.optim.Adam(shared.parameters(), lr=_RATE, betas=(0.5, 0.999))
        maker = torch.optim.Adam(self._generator.parameters(), lr=_RATE, betas=(0.5, 0.999))
        for batch in minibatches(
            pixels, batch_size=256, epochs=_EPOCHS, deadline=deadline, random=self._random
        ):
            for optimiser in (reader, maker):
                set_rate(optimiser, _RATE, batch.progress)
            code, made = self._generate(len(batch.images), pixels.device)

            # Real and generated images apart: batch statistics of a mixture would give them away.
            real = self._features(
                torch.cat([batch.images, random_view(batch.images, ViewSettings(), self._random)])
            )
            fake = self._features(made.detach())
            logits, moved = self._clusters(real).chunk(2)
            clustering = clustering_loss(logits, moved)
            judged_real, judged_fake = self._judge(real[: len(logits)]), self._judge(fake)
            adversarial = functional.softplus(-judged_real).mean() + functional.softplus(judged_fake).mean()
            collaborative = functional.cross_entropy(self._clusters(fake), code)
            descend(reader, clustering + _COLLABORATION * collaborative + _JUDGEMENT * adversarial)
            self.history_.append(clustering.item())

            fake = before_norm(made)
            with torch.no_grad():
                wanted = before_norm(batch.images).mean(0)
            matching = (fake.mean(0) - wanted).square().sum()
            descend(maker, matching + functional.cross_entropy(self._clusters(end(fake)), code))
        shared.eval()

    def _generate(self, n: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return n random codes (n,) and the images made from them."""
        code = torch.randint(self.n_clusters, (n,), generator=self._random, device=device)
        noise = torch.randn(n, _N_NOISE, generator=self._random, device=device)
        inputs = torch.cat([functional.one_hot(code, self.n_clusters).float(), noise], 1)
        images: Tensor = self._generator(inputs).sigmoid()
        return code, images

    def _assign(self, images: Tensor) -> Tensor:
        logits: Tensor = self._clusters(self._features(images))
        return logits.argmax(1)
