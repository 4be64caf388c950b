from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.data.crops import centre_crop, pad_to, random_crop, shrink_image, shrink_labels


@pytest.mark.parametrize("height", [1, 2, 97, 240, 427, 640])
def test_nearest_takes_the_pixel_at_the_floor(height):
    labels = np.repeat((np.arange(height) % 251).astype(np.uint8)[:, None], 5, axis=1)
    rows = np.minimum((np.arange(max(1, round(height * 0.33))) / 0.33).astype(int), height - 1)
    shrunk = shrink_labels(labels, 0.33)
    assert shrunk.shape == (len(rows), 2)
    assert np.array_equal(shrunk[:, 0], labels[rows, 0])


def test_bilinear_samples_at_pixel_centres_without_smoothing():
    ramp = np.repeat(np.arange(100, dtype=np.float32)[None, :, None], 3, axis=2)
    shrunk = shrink_image(np.repeat(ramp, 4, axis=0), 0.33)
    assert shrunk.shape == (1, 33, 3)
    assert shrunk.dtype == np.float32
    assert shrunk[0, :, 0] == pytest.approx((np.arange(33) + 0.5) / 0.33 - 0.5, abs=1e-3)


@pytest.mark.parametrize(("side", "top"), [(105, 12), (104, 12), (127, 1), (126, 1), (1, 64), (128, 0)])
def test_padding_sits_where_iic_puts_it(side, top):
    # IIC: int(128 / 2) - int(side / 2) rows above.
    padded = pad_to(np.ones((side, 128), dtype=np.uint8), 128, 255)
    assert padded.shape == (128, 128)
    assert np.flatnonzero(padded[:, 0] == 1)[[0, -1]].tolist() == [top, top + side - 1]


@pytest.mark.parametrize(("side", "start"), [(211, 41), (140, 6), (129, 0), (128, 0)])
def test_centre_crop_starts_where_iic_starts(side, start):
    # IIC: int(side / 2) - int(128 / 2).
    rows = np.repeat(np.arange(side, dtype=np.float32)[:, None], 128, axis=1)
    crop = centre_crop(rows, 128, 0)
    assert crop[[0, -1], 0].tolist() == [start, start + 127]


def test_random_crop_cuts_image_and_labels_alike():
    labels = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)
    image = np.repeat(labels[..., None], 3, axis=2).astype(np.float32)
    rng = np.random.default_rng(0)
    tops, lefts = set(), set()
    for _ in range(200):
        crop, crop_labels = random_crop(image, labels, 10, rng)
        assert crop.shape == (10, 10, 3)
        assert np.array_equal(crop[..., 0], crop_labels)
        top, left = divmod(int(crop_labels[0, 0]), 20)
        tops.add(top)
        lefts.add(left)
    assert tops == set(range(3))
    assert lefts == set(range(11))


def test_random_crop_pads_small_images_and_repeats_with_the_seed():
    image, labels = np.ones((4, 20, 3), dtype=np.float32), np.ones((4, 20), dtype=np.uint8)
    crop, crop_labels = random_crop(image, labels, 8, np.random.default_rng(3))
    assert crop_labels[:, 0].tolist() == [255, 255, 1, 1, 1, 1, 255, 255]
    assert np.array_equal(crop[..., 0] == 0, crop_labels == 255)
    again, _ = random_crop(image, labels, 8, np.random.default_rng(3))
    assert np.array_equal(crop, again)
