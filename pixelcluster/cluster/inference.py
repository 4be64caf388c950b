"""Inferring images with a fitted generator: chains from their stated start, and the evidence of clusters.

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, eq. 3 and 7.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pixelcluster.cluster.joint import ImageGenerator, laplace_evidence, log_joint, tempered_sigma
from pixelcluster.cluster.recognition import Recognition
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.errors import PixelClusterError
from pixelcluster.sampling import langevin
from pixelcluster.sampling.noise import Streams

_READ = 500
"""Images inferred at a time."""


def infer_evidence(
    generator: ImageGenerator,
    recognition: Recognition,
    settings: ImageSettings,
    images: Tensor,
    *,
    seed: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Return log p(x | y = k), (N, K), and the chains, (N, K, d), of images (N, C, S, S) uint8.

    The chains start at the recognition network's mean and climb at temperature 0 to the mode, where
    Laplace's approximation holds.

    Raises:
        PixelClusterError: evidence that is not finite; a label made of it would mean nothing.
    """
    sigma = tempered_sigma(settings.sigma, settings.generator_side)
    evidence, latents = [], []
    for start in range(0, len(images), _READ):
        seen = images[start : start + _READ].to(device).float() / 255
        x = functional.adaptive_avg_pool2d(seen, settings.generator_side)
        with torch.no_grad():
            stated = recognition(seen)
        streams = Streams(seed, range(start, start + len(seen)), 0, device)
        target = log_joint(generator, x, None, sigma)
        state, _ = langevin.run(
            streams,
            langevin.init(stated.mean.expand(-1, generator.n_clusters, -1), target),
            target,
            settings.inference_steps,
            step_size=settings.step_size,
            temperature=0.0,
            preconditioner=stated.variance,
        )
        z = state.position
        with torch.no_grad():
            evidence.append(laplace_evidence(generator, x, z, stated, sigma).cpu())
        if not evidence[-1].isfinite().all():
            raise PixelClusterError("the generator's evidence is not finite; fit the model again")
        latents.append(z.cpu())
    return torch.cat(evidence), torch.cat(latents)
