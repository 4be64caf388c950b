from __future__ import annotations

import torch

from pixelcluster.targets.colour import rgb_to_lab
from pixelcluster.targets.lab import LabStack


def test_targets_are_scaled_cell_means_of_lab() -> None:
    images = torch.rand(2, 3, 6, 10, generator=torch.Generator().manual_seed(0))
    cells = rgb_to_lab(images).unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    centred = cells - cells.mean((0, 2, 3), keepdim=True)
    targets = LabStack(2).fit(list(images))(images)
    torch.testing.assert_close(targets, centred / centred.square().mean().sqrt(), atol=1e-4, rtol=1e-4)
