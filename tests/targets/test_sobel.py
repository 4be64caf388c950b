from __future__ import annotations

import cv2
import numpy as np
import torch

from pixelcluster.targets.sobel import SobelStack, grey, sobel


def test_sobel_equals_opencv_up_to_the_sign_of_the_kernel() -> None:
    values = torch.rand(1, 1, 7, 9, generator=torch.Generator().manual_seed(0))
    dx, dy = (
        cv2.Sobel(
            values[0, 0].numpy(), cv2.CV_32F, a, b, borderType=cv2.BORDER_ISOLATED | cv2.BORDER_CONSTANT
        )
        for a, b in ((1, 0), (0, 1))
    )
    np.testing.assert_allclose(sobel(values)[0], -np.stack([dx, dy]), atol=1e-5)


def test_zeros_surround_the_image() -> None:
    assert sobel(torch.ones(1, 1, 3, 3))[0, :, 1, 0].tolist() == [-4, 0]


def test_grey_equals_opencv() -> None:
    image = np.random.default_rng(0).random((5, 6, 3), dtype=np.float32)
    ours = grey(torch.from_numpy(image).permute(2, 0, 1)[None])[0, 0]
    np.testing.assert_allclose(ours, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), atol=1e-6)


def test_channels_keep_their_relative_scale() -> None:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    stack = SobelStack(1).fit(list(images))
    raw = torch.cat([images, sobel(grey(images))], 1)
    ratio = stack(images).std((0, 2, 3)) / raw.std((0, 2, 3))
    torch.testing.assert_close(ratio, ratio[:1].expand(5))
