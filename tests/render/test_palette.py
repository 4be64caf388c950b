from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from pixelcluster.errors import PixelClusterError
from pixelcluster.render.palette import categorical, linear_rgb, make_palette, mean_colours, oklab


@pytest.mark.parametrize("k", [0, 1, 7, 8, 40, 256])
def test_colours_are_distinct_and_stable(k: int) -> None:
    palette = categorical(k)
    assert palette.shape == (k, 3)
    assert palette.dtype == np.uint8
    assert len(np.unique(palette, axis=0)) == k
    np.testing.assert_array_equal(palette, categorical(256)[:k])


def test_colours_stay_apart_in_another_colour_space() -> None:
    # CIELAB is the oracle: the palette is spaced in OKLab, over a picture. 2.3 is just noticeable.
    for k, least in ((8, 25), (20, 25), (32, 19), (256, 3.5)):
        lab = rgb2lab(categorical(k)[None] / 255)[0]
        distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1e9 * np.eye(k)
        assert distance.min() > least


def test_past_256_the_colours_repeat() -> None:
    palette = categorical(1000)
    np.testing.assert_array_equal(palette[256:512], palette[:256])


def test_oklab_of_white_and_red() -> None:
    # Ottosson's own table.
    np.testing.assert_allclose(oklab(linear_rgb(np.array([255, 255, 255], np.uint8))), [1, 0, 0], atol=1e-4)
    np.testing.assert_allclose(
        oklab(linear_rgb(np.array([255, 0, 0], np.uint8))), [0.628, 0.225, 0.126], atol=1e-3
    )


def test_mean_colours_by_hand() -> None:
    image = np.float32([[[0, 0, 0], [1, 0, 0], [0, 1, 1]]])
    means = mean_colours(image, np.array([[0, 0, 2]]), 3)
    np.testing.assert_allclose(means, [[0.5, 0, 0], [0, 0, 0], [0, 1, 1]])
    np.testing.assert_array_equal(
        make_palette("mean", 3, image=image, label_map=np.array([[0, 0, 2]]))[0], [128, 0, 0]
    )


def test_grey_and_unknown_names() -> None:
    np.testing.assert_array_equal(make_palette("grey", 3)[:, 0], [0, 128, 255])
    with pytest.raises(PixelClusterError, match="categorical, mean, grey"):
        make_palette("rainbow", 3)
    with pytest.raises(PixelClusterError, match="--image"):
        make_palette("mean", 3)


def test_the_first_colours_stay_apart_over_any_part_of_a_picture() -> None:
    # 2.3 is just noticeable. The first seven of Okabe and Ito come as near as 13.
    palette = categorical(8)
    for ground in (40, 120, 200):
        lab = rgb2lab((palette[None] * 0.5 + ground * 0.5) / 255)[0]
        distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 1e9 * np.eye(len(lab))
        assert distance.min() > 20, ground
