"""Settings of a run, as pydantic models; `configs/*.yaml` are instances of them.

Every field has a default, unknown keys are refused with the nearest valid name, and the settings a model was
fitted with travel in its `config.yaml`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pixelcluster.arguments import Mode
from pixelcluster.errors import PixelClusterError


def _printable(name: str) -> str:
    """Names go to legends, tables and files: one line of visible characters."""
    if not name.isprintable():
        raise ValueError("a name holds printable characters only")
    return name


PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
ClusterId = Annotated[int, Field(ge=0)]
ClusterName = Annotated[
    str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True), AfterValidator(_printable)
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetSettings(_Section):
    """What the generator has to explain; see `pixelcluster.targets`."""

    stack: str = "encoder"
    """Names of `targets/` joined by "+"."""
    label_stride: PositiveInt = 4
    """Side of a label cell, in pixels."""
    image_side: Annotated[int, Field(ge=16)] | None = 256
    """Longest side images are shrunk to first of all, in pixels; none: native resolution, in tiles."""
    options: dict[str, dict[str, object]] = {}
    """Options of each named stack, as `{encoder: {scales: [2, 3]}}`."""


class GeneratorSettings(_Section):
    """The generator; see `pixelcluster.model.generator`."""

    form: Literal["heads", "convolutional"] = "heads"
    """heads: y meets the trunk in per-pixel affine heads; convolutional: the one-hot y-map is convolved."""
    latent_channels: Annotated[int, Field(ge=0)] = 4
    """d; 0 switches z off."""
    latent_stride: PositiveInt | None = 4
    """Side of a latent cell, in label cells; none: one latent cell per image, its appearance."""
    width: PositiveInt = 32
    noise: Literal["isotropic", "full"] = "full"
    """One sigma, or one covariance per cluster: the pixel-scale latent of a factor model, integrated out."""
    sigma: PositiveFloat | None = None
    """Standard deviation of the noise on normalised targets at the start; none: the residual of the start.
    Not beside noise full, which starts from covariances."""
    sigma_schedule: Literal["fixed", "annealed", "learned"] = "learned"
    """annealed: from twice sigma down to sigma, geometrically, over the first half of the iterations."""


class PriorSettings(_Section):
    """The prior on the label map; see `pixelcluster.model.prior`. Each part can be switched off."""

    proportions: bool = True
    """Learn pi; off: uniform."""
    rows: Annotated[int, Field(ge=0)] = 8
    """Bands of the row table; 0: position plays no part."""
    concentration: PositiveFloat | None = 0.02
    """Dirichlet alpha as a fraction of an image's cells; none: all images share pi."""
    potts_weight: Annotated[float, Field(ge=0)] = 0.6
    contrast: PositiveFloat | None = None
    """Scale of colour differences in the Potts weights, in [0, 1] RGB; none: no contrast sensitivity."""
    sparsity: Annotated[float, Field(ge=0)] = 0.0
    """Share of all cells taken from every cluster's count in pi: smaller clusters are pruned."""


class SamplerSettings(_Section):
    """Langevin within Gibbs; see `pixelcluster.sampling.posterior`."""

    langevin_steps: Annotated[int, Field(ge=0)] = 5
    """Steps on z per visit (the paper: 100 of a short-run chain; here chains persist)."""
    step_size: PositiveFloat = 0.5
    """In units of the inverse of the largest curvature, which is estimated from below: 1 is large."""
    gibbs_sweeps: PositiveInt = 2
    """Sweeps over y per visit."""
    temperature: Annotated[float, Field(ge=0)] = 1.0
    """1 samples, 0 takes maxima."""
    tempering: Annotated[float, Field(ge=1)] = 2.0
    """Divisor of the evidence: neighbouring pixels are not independent."""
    inference_rounds: PositiveInt = 10
    """Alternations of z and y for a new image in exact mode; the first half is burn-in."""


class TrainingSettings(_Section):
    """Learning; see `pixelcluster.training.fit`."""

    start: Literal["random", "kmeans", "spectral"] = "kmeans"
    row_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the variance a row coordinate has in the start; position is part of the prior after it."""
    restarts: PositiveInt = 4
    """Fits from different starts; the one with the highest objective goes on."""
    epochs: PositiveInt = 12
    """Visits to every image."""
    batch_size: PositiveInt = 16
    learning_rate: PositiveFloat = 5e-3
    max_clusters: PositiveInt = 20
    """K at the start where the number of clusters is learned."""


class StudentSettings(_Section):
    """The amortised student; see `pixelcluster.training.student`."""

    enabled: bool = True
    encoder: str = "tf_efficientnet_lite0"
    """timm name; the decoder is a feature pyramid network."""
    pretrained: bool = True
    """Frozen pretrained encoder; off: the encoder is learned from scratch too."""
    input_scale: PositiveFloat = 1.0
    """Factor images are enlarged by before the student sees them."""
    views: PositiveInt = 4
    """Of each image: itself, and jittered, flipped and cropped ones."""
    steps: PositiveInt = 400
    """Optimisation steps."""
    batch_size: PositiveInt = 8
    learning_rate: PositiveFloat = 2e-3


class ClusterSettings(_Section):
    """What became of a model's clusters after it was fitted; training starts without any."""

    names: dict[ClusterId, ClusterName] = {}
    """Id -> what people call it."""
    merged: dict[ClusterId, ClusterId] = {}
    """Id -> the id that takes its pixels; its probability is added to that one's."""

    @model_validator(mode="after")
    def _check(self) -> ClusterSettings:
        if not set(self.merged).isdisjoint(self.merged.values()):
            raise ValueError("merged names an id both as merged and as the one that takes it")
        if len(set(self.names.values())) < len(self.names):
            raise ValueError("two clusters have one name")
        return self

    def listed(self, n_clusters: int) -> tuple[str, ...]:
        """The names of ids 0 .. K-1, "" where there is none; () where no cluster has one."""
        return tuple(self.names.get(i, "") for i in range(n_clusters)) if self.names else ()


class RunConfig(_Section):
    """All settings of a run."""

    n_clusters: PositiveInt | Literal["auto"] = "auto"
    mode: Mode = "exact"
    """How the model reads an image where the caller does not say: the student alone, or chains it starts."""
    targets: TargetSettings = TargetSettings()
    generator: GeneratorSettings = GeneratorSettings()
    prior: PriorSettings = PriorSettings()
    sampler: SamplerSettings = SamplerSettings()
    training: TrainingSettings = TrainingSettings()
    student: StudentSettings = StudentSettings()
    clusters: ClusterSettings = ClusterSettings()

    @model_validator(mode="after")
    def _check(self) -> RunConfig:
        ids = {*self.clusters.names, *self.clusters.merged, *self.clusters.merged.values()}
        if ids and (self.n_clusters == "auto" or max(ids) >= self.n_clusters):
            raise ValueError(f"clusters names id {max(ids)}, but there are {self.n_clusters} clusters")
        return self

    def check_fit(self) -> None:
        """Refuse settings that exclude each other: a fit asks first of all, when it knows n_clusters.

        Raises:
            PixelClusterError: naming them and the way out.
        """
        generator, prior = self.generator, self.prior
        full = generator.noise == "full"
        if full and generator.sigma_schedule != "learned":
            raise PixelClusterError(
                "generator.noise full learns its covariances; give noise isotropic, or no sigma_schedule"
            )
        if full and generator.form == "heads" and generator.sigma is not None:
            raise PixelClusterError(
                "generator.noise full starts from the covariances; give noise isotropic, or no sigma"
            )
        if self.n_clusters != "auto" and not prior.sparsity:
            return
        if not prior.proportions:
            raise PixelClusterError(
                "clusters are pruned by their proportions; give n_clusters and prior.sparsity 0, or switch "
                "prior.proportions on"
            )
        if generator.form == "convolutional":
            raise PixelClusterError(
                "the convolutional generator cannot drop clusters; give n_clusters and prior.sparsity 0"
            )
