"""The variants of an ablation: the full model with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pixelcluster.arguments import Mode
from pixelcluster.config import RunConfig
from pixelcluster.config_file import parse_config
from pixelcluster.errors import PixelClusterError

LANGEVIN_STEPS = (0, 5, 20, 100)
"""Those of figure 3 of the paper."""
TEMPERINGS = (1, 2, 4, 8)
STACKS = ("rgb", "sobel", "texture", "patches", "texture+patches", "encoder", "correspondence")

_LATENT = "generator.latent_channels"


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        name: how it is called, for example "potts-off".
        group: the rows it is compared with.
        changes: new values by dotted name, as {"prior.potts_weight": 0.0}.
        mode: how images are read, where not as the configuration says.
    """

    name: str
    group: str
    changes: Mapping[str, object] = field(default_factory=dict)
    mode: Mode | None = None

    def apply(self, config: RunConfig) -> RunConfig:
        """Return the settings with the changes made, checked."""
        values = config.model_dump()
        for path, value in self.changes.items():
            section, _, name = path.partition(".")
            values[section][name] = value
        return parse_config(values, f"variant {self.name}")


def all_variants(config: RunConfig) -> list[Variant]:
    """Return every variant of a configuration, the full model first.

    A part the configuration has is switched off ("rows-off"), a part it lacks is switched on at its default
    ("rows-on"). A row that changes nothing, as "tempering-4" where 4 is configured, repeats the full model.

    Args:
        config: the full model.
    """
    sampler = {"map": 0.0, "sampling": 1.0}
    found = [
        Variant("full", "full"),
        _switched("z", "z", config, {_LATENT: 0}),
        *(
            Variant(f"langevin-{steps}", "langevin", _with_latent(config) | {"sampler.langevin_steps": steps})
            for steps in LANGEVIN_STEPS
        ),
        _switched("proportions", "prior", config, {"prior.proportions": False}),
        _switched("rows", "prior", config, {"prior.rows": 0}),
        _switched("dirichlet", "prior", config, {"prior.concentration": None}),
        _switched("potts", "prior", config, {"prior.potts_weight": 0.0}),
        Variant(
            "prior-off",
            "prior",
            {
                "prior.proportions": False,
                "prior.rows": 0,
                "prior.concentration": None,
                "prior.potts_weight": 0.0,
            },
        ),
        *(Variant(f"tempering-{t}", "tempering", {"sampler.tempering": float(t)}) for t in TEMPERINGS),
        *(Variant(f"noise-{kind}", "noise", {"generator.noise": kind}) for kind in ("isotropic", "full")),
        *(Variant(name, "sampling", {"sampler.temperature": value}) for name, value in sampler.items()),
        *(
            Variant(f"start-{kind}", "start", {"training.start": kind})
            for kind in ("random", "kmeans", "spectral")
        ),
        Variant("restarts-1", "restarts", {"training.restarts": 1}),
    ]
    if config.training.row_share:
        found.append(Variant("start-without-rows", "start", {"training.row_share": 0.0}))
    if config.student.enabled:
        found += [
            Variant("student-off", "student", {"student.enabled": False}),
            Variant("student-alone", "student", mode="fast"),
            Variant("student-and-chains", "student", mode="exact"),
        ]
    return found + [_with_stack(config, stack) for stack in STACKS]


def choose_variants(config: RunConfig, wanted: Sequence[str] = ()) -> list[Variant]:
    """Return the full model and the wanted variants.

    Args:
        config: the full model.
        wanted: names and groups; nothing: all.

    Raises:
        PixelClusterError: a name that is neither.
    """
    known = all_variants(config)
    names = {variant.name for variant in known} | {variant.group for variant in known}
    unknown = [name for name in wanted if name not in names]
    if unknown:
        groups = dict.fromkeys(variant.group for variant in known)
        raise PixelClusterError(
            f"unknown variant {unknown[0]!r}; give names such as {known[1].name}, "
            f"or groups: {', '.join(groups)}"
        )
    return [
        variant
        for variant in known
        if not wanted or variant.name == "full" or {variant.name, variant.group} & set(wanted)
    ]


def _switched(part: str, group: str, config: RunConfig, off: Mapping[str, object]) -> Variant:
    """Return the part switched off, or on at its default where it is off."""
    ((path, value),) = off.items()
    if _value(config, path) != value:
        return Variant(f"{part}-off", group, off)
    return Variant(f"{part}-on", group, {path: _value(RunConfig(), path)})


def _with_latent(config: RunConfig) -> dict[str, object]:
    """Return the change that gives the model a z where it has none."""
    return {} if _value(config, _LATENT) else {_LATENT: _value(RunConfig(), _LATENT)}


def _with_stack(config: RunConfig, stack: str) -> Variant:
    """Return the model on another stack, which keeps the options of the parts they share."""
    options = {name: own for name, own in config.targets.options.items() if name in stack.split("+")}
    return Variant(f"stack-{stack}", "stacks", {"targets.stack": stack, "targets.options": options})


def _value(config: RunConfig, path: str) -> object:
    section, _, name = path.partition(".")
    return getattr(getattr(config, section), name)
