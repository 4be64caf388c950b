"""Persistent chains: the last (z, y) of each image, by image id, between visits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pixelcluster.errors import PixelClusterError


class Chain(NamedTuple):
    """State of one image.

    Attributes:
        z: (d, hz, wz) float32.
        direction: as z; along which log p curved most at the last visit, 0 where that is not known.
        label_map: (h, w) int16.
        steps: visits so far, () int64; with the seed and the id it fixes the noise of the next visit.
    """

    z: Tensor
    direction: Tensor
    label_map: Tensor
    steps: Tensor


class Chains:
    """Chains of a data set on the CPU; images may differ in size.

    Ids are numbers or text; a state is a flat mapping of tensors, as safetensors wants.
    """

    def __init__(self) -> None:
        self._chains: dict[str, Chain] = {}

    def __contains__(self, image_id: int | str) -> bool:
        return str(image_id) in self._chains

    def __len__(self) -> int:
        return len(self._chains)

    def get(self, ids: Sequence[int | str]) -> tuple[Tensor, Tensor, list[int]]:
        """Return z (B, d, hz, wz), labels (B, h, w) int64 and visits of images of one size.

        Raises:
            PixelClusterError: an image has no chain yet.
        """
        missing = [image_id for image_id in ids if image_id not in self]
        if missing:
            raise PixelClusterError(
                f"{len(missing)} images have no chain, {missing[0]!r} first; put a start there"
            )
        chains = [self._chains[str(image_id)] for image_id in ids]
        z = torch.stack([chain.z for chain in chains])
        label_map = torch.stack([chain.label_map for chain in chains]).long()
        return z, label_map, [int(chain.steps) for chain in chains]

    def directions(self, ids: Sequence[int | str]) -> Tensor:
        """Return the directions of images that have chains and are of one size, (B, d, hz, wz)."""
        return torch.stack([self._chains[str(image_id)].direction for image_id in ids])

    def put(
        self, ids: Sequence[int | str], z: Tensor, label_map: Tensor, direction: Tensor | None = None
    ) -> None:
        """Store z, direction (both B, d, hz, wz) and labels (B, h, w), and count the visit (a first: 0)."""
        direction = torch.zeros_like(z) if direction is None else direction
        zs, directions = (part.detach().to("cpu", torch.float32) for part in (z, direction))
        label_maps = label_map.detach().to("cpu", torch.int16)
        for image_id, *own in zip(map(str, ids), zs, directions, label_maps, strict=True):
            before = self._chains.get(image_id)
            steps = torch.tensor(0) if before is None else before.steps + 1
            # Copies: a view would keep the whole batch alive.
            own_z, own_direction, own_labels = (part.clone() for part in own)
            self._chains[image_id] = Chain(own_z, own_direction, own_labels, steps)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the chains as tensors named "<part>/<id>"."""
        return {
            f"{part}/{image_id}": value
            for image_id, chain in self._chains.items()
            for part, value in chain._asdict().items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Replace all chains by those of a `state_dict`.

        Raises:
            PixelClusterError: a part of a chain is missing.
        """
        ids = [name.removeprefix("steps/") for name in state if name.startswith("steps/")]
        try:
            self._chains = {i: Chain(*(state[f"{part}/{i}"] for part in Chain._fields)) for i in ids}
        except KeyError as error:
            raise PixelClusterError(
                f"chain state lacks {error.args[0]!r}; it was cut or is not one"
            ) from error
