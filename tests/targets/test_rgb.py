from __future__ import annotations

import torch

from pixelcluster.targets.rgb import RgbStack


def test_targets_are_scaled_cell_means() -> None:
    images = torch.rand(2, 3, 6, 10, generator=torch.Generator().manual_seed(0))
    stack = RgbStack(2).fit(list(images))
    cells = images.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    targets = stack(images)
    torch.testing.assert_close(targets.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    centred = cells - cells.mean((0, 2, 3), keepdim=True)
    torch.testing.assert_close(targets, centred / centred.square().mean().sqrt(), atol=1e-5, rtol=1e-4)
