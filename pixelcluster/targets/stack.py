"""From a specification such as `encoder+texture` to a target stack."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from pixelcluster.errors import PixelClusterError
from pixelcluster.progress import Progress
from pixelcluster.targets.base import TargetStack

STACKS = ("rgb", "lab", "sobel", "texture", "patches", "encoder", "correspondence")
PRETRAINED = ("encoder", "correspondence")
"""Stacks with weights learned on other images."""
Options = Mapping[str, Mapping[str, object]]


class JoinedStack(TargetStack):
    """Several stacks side by side, each with its share of the total variance.

    Block b of D_b channels is multiplied by sqrt(w_b / sum(w) * D / D_b), D = sum(D_b): as its channels have
    variance 1 on average, it contributes the share w_b / sum(w) of the squared distances for any number,
    and channels of the whole have variance 1 on average again.

    Args:
        stacks: the blocks, with the same label stride.
        weights: w, above 0.
    """

    def __init__(self, stacks: Sequence[TargetStack], weights: Sequence[float]) -> None:
        super().__init__(sum(stack.n_channels for stack in stacks), stacks[0].label_stride)
        self.stacks = nn.ModuleList(stacks)
        self.factors = [
            math.sqrt(weight / sum(weights) * self.n_channels / stack.n_channels)
            for weight, stack in zip(weights, stacks, strict=True)
        ]

    def fit_transform(
        self,
        images: Sequence[Tensor],
        *,
        masks: Sequence[Tensor] | None = None,
        seed: int = 0,
        deadline: float = math.inf,
        progress: Progress | None = None,
    ) -> list[Tensor]:
        """Fit every block, see `TargetStack.fit_transform`."""
        blocks = [
            stack.fit_transform(images, masks=masks, seed=seed, deadline=deadline, progress=progress)  # type: ignore[operator]
            for stack in self.stacks
        ]
        return [self._join(parts) for parts in zip(*blocks, strict=True)]

    def forward(self, images: Tensor) -> Tensor:
        """Return the blocks side by side, (B, D, h, w)."""
        return self._join([stack(images) for stack in self.stacks])

    def _join(self, parts: Sequence[Tensor]) -> Tensor:
        """Return blocks ([B,] D_b, h, w) side by side, each with its share."""
        shares = zip(parts, self.factors, strict=True)
        return torch.cat([part * factor for part, factor in shares], -3)


def build_stack(spec: str, *, label_stride: int, options: Options | None = None) -> TargetStack:
    """Return an unfitted target stack.

    Args:
        spec: names joined by `+`, each with an optional weight before `*`: `encoder+0.5*texture`. Blocks
            weigh equally unless told otherwise, see `JoinedStack`.
        label_stride: pixels a label cell and axis.
        options: keyword arguments of the stacks by name, `{"encoder": {"n_components": 32}}`.

    Raises:
        PixelClusterError: unknown or repeated name, a weight that is none, an option a stack does not have.
    """
    parts = parse_spec(spec)
    names = [name for name, _ in parts]
    unused = sorted(set(options or {}) - set(names))
    if unused:
        raise PixelClusterError(f"options for {', '.join(unused)}, but the stack is {spec!r}; leave them out")
    stacks = [_build(name, label_stride, (options or {}).get(name, {})) for name in names]
    return stacks[0] if len(stacks) == 1 else JoinedStack(stacks, [weight for _, weight in parts])


def parse_spec(spec: str) -> list[tuple[str, float]]:
    """Return name and weight of each part of a specification; see `build_stack`.

    Raises:
        PixelClusterError: unknown or repeated name, a weight that is none.
    """
    parts = [_parse(part, spec) for part in spec.split("+")]
    names = [name for name, _ in parts]
    if len(set(names)) < len(names):
        raise PixelClusterError(
            f"stack {spec!r} names a part twice; give it a weight instead, as in 2*{names[0]}"
        )
    return parts


def _parse(part: str, spec: str) -> tuple[str, float]:
    """Return name and weight of one part of a specification."""
    weight_text, star, name = part.rpartition("*")
    name = name.strip()
    if name not in STACKS:
        where = "" if name == spec else f" in {spec!r}"
        raise PixelClusterError(f"unknown target stack {name!r}{where}; choose from {', '.join(STACKS)}")
    if not star:
        return name, 1.0
    try:
        weight = float(weight_text)
    except ValueError:
        weight = math.nan
    if not (weight > 0 and math.isfinite(weight)):
        raise PixelClusterError(f"weight {weight_text.strip()!r} in stack {spec!r} is no number above 0")
    return name, weight


def _build(name: str, label_stride: int, options: Mapping[str, object]) -> TargetStack:
    """Build one stack; the modules of learned stacks are imported only when asked for."""
    try:
        return _class(name)(label_stride, **options)
    except TypeError as error:
        raise PixelClusterError(f"options {dict(options)} do not fit the stack {name}: {error}") from error


def _class(name: str) -> Callable[..., TargetStack]:
    if name == "rgb":
        from pixelcluster.targets.rgb import RgbStack

        return RgbStack
    if name == "lab":
        from pixelcluster.targets.lab import LabStack

        return LabStack
    if name == "sobel":
        from pixelcluster.targets.sobel import SobelStack

        return SobelStack
    if name == "texture":
        from pixelcluster.targets.texture import TextureStack

        return TextureStack
    if name == "patches":
        from pixelcluster.targets.patches import PatchStack

        return PatchStack
    if name == "encoder":
        from pixelcluster.targets.encoder import EncoderStack

        return EncoderStack
    from pixelcluster.targets.correspondence import CorrespondenceStack

    return CorrespondenceStack
