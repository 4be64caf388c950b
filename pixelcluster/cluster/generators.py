"""The generator that settings ask for."""

from __future__ import annotations

from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.model.deconvolutional import DeconvolutionalGenerator
from pixelcluster.model.transform import TransformGenerator


def make_generator(
    settings: ImageSettings, n_clusters: int, channels: int, seed: int
) -> TransformGenerator | DeconvolutionalGenerator:
    """Return the generator that the settings ask for, at its start."""
    side = settings.generator_side
    if settings.generator == "deconvolutional":
        return DeconvolutionalGenerator(n_clusters, channels, side, seed=seed)
    return TransformGenerator(n_clusters, channels, side, n_factors=settings.n_factors, seed=seed)
