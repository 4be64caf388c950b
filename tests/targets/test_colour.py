from __future__ import annotations

import numpy as np
import torch
from skimage.color import rgb2lab

from pixelcluster.targets.colour import rgb_to_lab


def test_lab_equals_scikit_image() -> None:
    image = np.random.default_rng(0).random((9, 11, 3))
    image[0, :3] = [[0, 0, 0], [1, 1, 1], [0.01, 0.02, 0.03]]
    ours = rgb_to_lab(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(ours, rgb2lab(image), atol=0.03)
