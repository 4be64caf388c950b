"""The order in which a fit visits the images: mini-batches of one colour of the graph each."""

from __future__ import annotations

import torch
from torch import Tensor

from pixelcluster.model.graph import SparseGraph
from pixelcluster.resuming.state_file import State


class Batches:
    """Mini-batches pass after pass, each pass in a new order.

    Args:
        graph: over the images.
        size: images of a mini-batch at most.
        random: of the orders; drawn from when a pass begins.
    """

    def __init__(self, graph: SparseGraph, size: int, random: torch.Generator) -> None:
        self.graph, self.size, self.random = graph, size, random
        self._waiting: list[Tensor] = []

    def next(self) -> Tensor:
        """Return the images (B,) int64 of the next mini-batch."""
        if not self._waiting:
            batches: list[Tensor] = []
            for _, cells in self.graph.colours:
                order = torch.randperm(len(cells), generator=self.random)
                batches += torch.split(cells[order], self.size)
            order = torch.randperm(len(batches), generator=self.random)
            self._waiting = [batches[index] for index in order.tolist()]
        return self._waiting.pop(0)

    def state_dict(self) -> State:
        """Return the rest of the pass; the generator's state is the fit's."""
        return {
            "images": torch.cat([torch.zeros(0, dtype=torch.int64), *self._waiting]),
            "sizes": [len(cells) for cells in self._waiting],
        }

    def load_state_dict(self, state: State) -> None:
        """Go on where a `state_dict` was taken."""
        self._waiting = list(torch.split(state["images"], state["sizes"])) if state["sizes"] else []
