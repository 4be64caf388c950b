from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.segmentation import find_boundaries

from pixelcluster.render.overlay import (
    boundaries,
    font_size,
    line_width,
    overlay,
    share_text,
    swatches,
    with_legend,
)
from pixelcluster.render.palette import categorical


def test_boundaries_agree_with_scikit_image(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 3, (12, 9))
    # Ours marks the left or upper pixel of a differing pair; together with its mirror that is every boundary
    # pixel.
    both = boundaries(labels) | boundaries(labels[::-1, ::-1])[::-1, ::-1]
    np.testing.assert_array_equal(both, find_boundaries(labels, connectivity=1, mode="thick"))


def test_boundary_width() -> None:
    labels = np.repeat([[0, 1]], 5, axis=1).repeat(3, axis=0)
    assert boundaries(labels, width=3)[0].sum() == 3
    assert line_width(481, 321) == 1
    assert line_width(8000, 6000) > 3


def test_opacity_one_is_flat_colour_and_zero_is_the_picture(quadrants: np.ndarray) -> None:
    labels = np.zeros((40, 60), dtype=np.int32)
    flat = np.asarray(overlay(quadrants, labels, categorical(1), opacity=1))
    assert (flat == categorical(1)[0]).all()
    np.testing.assert_allclose(
        np.asarray(overlay(quadrants, labels, categorical(1), opacity=0)) / 255, quadrants
    )


def test_half_opacity_in_closed_form() -> None:
    """Half of the picture's light, of which 0.35 is grey, and half of the tint; a fifth of that on a line."""
    image = np.full((1, 3, 3), (0.8, 0.4, 0.2), np.float32)
    colours = np.array([[200, 100, 0], [0, 0, 0]], np.uint8)
    grey = 0.299 * 0.8 + 0.587 * 0.4 + 0.114 * 0.2
    tinted = [
        127.5 * (0.65 * own + 0.35 * grey) + 0.5 * colour
        for own, colour in ((0.8, 200), (0.4, 100), (0.2, 0))
    ]
    line = [0.2 * level + 0.8 * 255 for level in tinted]
    picture = np.asarray(overlay(image, np.array([[0, 0, 1]]), colours))
    assert picture[0, :2].tolist() == [[round(level) for level in tinted], [round(level) for level in line]]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (321, 481)])
def test_a_legend_fits_any_picture(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", (size[1], size[0]), (9, 9, 9))
    sheet = with_legend(picture, categorical(40), [1 / 40] * 40)
    assert sheet.width >= picture.width
    assert sheet.height > picture.height
    left = (sheet.width - picture.width) // 2
    assert sheet.crop((left, 0, left + picture.width, picture.height)).tobytes() == picture.tobytes()


def test_the_legend_shows_the_colours_present_and_only_those() -> None:
    sheet = np.asarray(with_legend(Image.new("RGB", (300, 50)), categorical(3), [0.6, 0, 0.4]))[50:]
    present = {tuple(colour) for colour in sheet.reshape(-1, 3)}
    palette = [tuple(colour) for colour in categorical(3)]
    assert palette[0] in present
    assert palette[2] in present
    assert palette[1] not in present


def test_the_legend_is_in_the_order_of_ids() -> None:
    sheet = np.asarray(with_legend(Image.new("RGB", (300, 50)), categorical(2), [0.4, 0.6]))[50:]
    first, second = (np.nonzero((sheet == colour).all(2))[1].mean() for colour in categorical(2))
    assert first < second


def test_text_scales_with_the_picture() -> None:
    assert font_size(100, 100) == 12
    assert font_size(4000, 6000) > 100


def test_share_text() -> None:
    assert [share_text(s) for s in (0, 0.0001, 0.034, 0.0996, 0.34, 1)] == [
        "0.0 %",
        "<0.1 %",
        "3.4 %",
        "10 %",
        "34 %",
        "100 %",
    ]


def test_names_stand_in_the_legend() -> None:
    palette = np.array([[200, 0, 0], [0, 200, 0]], dtype=np.uint8)
    picture = Image.new("RGB", (300, 60))
    plain = with_legend(picture, palette, [0.5, 0.5], text_size=12)
    named = with_legend(picture, palette, [0.5, 0.5], ["sky", ""], text_size=12)
    long = with_legend(picture, palette, [0.5, 0.5], ["y" * 60, ""], text_size=12)
    assert plain.size == named.size
    assert np.asarray(plain).astype(int).sum() > np.asarray(named).astype(int).sum()  # more ink
    assert long.width <= 330


def test_swatches_are_the_mean_colours_of_the_overlay(rng: np.random.Generator) -> None:
    labels = np.repeat([[0, 2]], 30, axis=1).repeat(20, axis=0)
    image = rng.random((20, 60, 3), dtype=np.float32)
    picture = np.asarray(overlay(image, labels, categorical(3), opacity=0.4))
    inside = ~boundaries(labels)
    for i in (0, 2):
        mean = picture[(labels == i) & inside].mean(0)
        np.testing.assert_allclose(swatches(image, labels, categorical(3), opacity=0.4)[i], mean, atol=3)
