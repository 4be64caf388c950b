"""Settings of image-level clustering; a model folder keeps them beside its weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pixelcluster.config import PositiveFloat, PositiveInt

MOST_CLUSTERS = 1_000
ClusterCount = Annotated[int, Field(ge=1, le=MOST_CLUSTERS)]
Share = Annotated[float, Field(ge=0, le=1)]


class RowFormat(BaseModel):
    """What rows of numbers were made images of: their least and greatest number, and their length."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    low: float
    high: float
    length: PositiveInt


class ImageSettings(BaseModel):
    """How images are clustered; see `pixelcluster.cluster.fit`. The shares are parts of `iterations`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_clusters: ClusterCount | Literal["auto"] = 10
    max_clusters: ClusterCount = 20
    """K at the start where it is learned."""
    start: Literal["graph", "network", "random"] = "graph"
    """graph: a partition of the graph of images. Without any graph, at the start and later - network:
    `variational`'s network, from random weights; random: the paper's, each template is a random image."""
    side: Annotated[int, Field(ge=8, le=96)] = 28
    """Images are brought to this many pixels per side."""
    generator: Literal["transform", "deconvolutional"] = "transform"
    generator_side: Annotated[int, Field(ge=4, le=96)] = 14
    """Side of the images the generator explains."""
    n_factors: Annotated[int, Field(ge=0, le=256)] = 8
    """Appearance factors per cluster."""
    chains: Literal["per_cluster", "shared"] = "per_cluster"
    """per_cluster: one z-chain per cluster (product space); shared: one z, the paper's."""
    sigma: PositiveFloat = 0.3
    """Standard deviation of the noise, images in [0, 1], at 14 pixels per side; larger sides are tempered."""
    langevin_steps: Annotated[int, Field(ge=0)] = 1
    """Steps on z per visit."""
    inference_steps: Annotated[int, Field(ge=0)] = 10
    """Steps on z when a new image is read."""
    step_size: PositiveFloat = 0.3
    """In units of the variance that the recognition network states."""
    potts_weight: Annotated[float, Field(ge=0)] = 30.0
    """Nats all neighbours of an image together give to its label."""
    n_neighbours: Annotated[int, Field(ge=1, le=1_000)] = 10
    iterations: PositiveInt = 2500
    """Mini-batches at most; a small set is done after 60 passes."""
    batch_size: PositiveInt = 128
    warp_from: Share = 0.02
    latents_from: Share = 0.15
    appearance_from: Share = 0.3
    hold_until: Share = 0.75
    """A graph start keeps its labels until then."""
    temperature: Annotated[float, Field(ge=1)] = 10.0
    """Divisor of the evidence at a random start, falling to 1 at `cooled_at`."""
    cooled_at: Share = 0.4
    recognition_rate: PositiveFloat = 1e-3
    template_rate: PositiveFloat = 5e-3
    restarts: PositiveInt = 1
    student_epochs: Annotated[int, Field(ge=0)] = 4
    """Passes of the student over the images; 0: none, and no fast mode."""
    rows: RowFormat | None = None
    """Set by a fit: of its rows of numbers; None where it had images."""
