from pathlib import Path

import cv2
import numpy as np

from pixelcluster.segmenting.alone.textons import (
    N_TEXTONS,
    dictionary,
    filter_bank,
    learn_dictionary,
    move_means,
    nearest,
    sample,
    textons,
)


def stripes(period: int) -> np.ndarray:
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * np.arange(96) / period)
    return np.tile(wave, (96, 1)).astype(np.float32)


def test_textures_of_one_image_have_textons_of_their_own() -> None:
    words = textons(np.concatenate([stripes(4), stripes(12)], 1))
    fine, coarse = words[:, 20:76], words[:, 116:172]
    shares = [np.bincount(part.ravel(), minlength=N_TEXTONS) / part.size for part in (fine, coarse)]
    assert np.minimum(*shares).sum() < 0.1


def test_the_start_fits_the_filters_that_ship() -> None:
    assert dictionary().shape == (N_TEXTONS, filter_bank(stripes(6)).shape[-1])
    assert len(np.unique(dictionary(), axis=0)) == N_TEXTONS


def test_a_photograph_uses_most_of_the_start() -> None:
    image = cv2.imread(
        str(Path(__file__).parents[3] / "assets" / "samples" / "china.jpg"), cv2.IMREAD_GRAYSCALE
    )
    responses = filter_bank(image.astype(np.float32) / 255)
    words = nearest(responses.reshape(-1, responses.shape[-1]), dictionary())
    assert (np.bincount(words, minlength=N_TEXTONS) > words.size / 5000).mean() > 0.7


def test_a_sample_sees_all_columns() -> None:
    points = np.arange(483 * 322, dtype=np.float32)[:, None]
    assert len(np.unique(sample(points, 483) % 483)) == 483
    assert len(np.unique(sample(points, 480) % 480)) == 480


def test_means_move_to_the_points_and_empty_ones_stay() -> None:
    points = np.repeat(np.array([[0, 0], [4, 0]], dtype=np.float32), 5, axis=0)
    points[::5] += np.float32(0.5)
    start = np.array([[1, 1], [3, 1], [90, 90]], dtype=np.float32)
    means = move_means(points, start)
    np.testing.assert_allclose(means, [points[:5].mean(0), points[5:].mean(0), start[2]], rtol=1e-6)
    assert nearest(points, means).tolist() == [0] * 5 + [1] * 5


def test_a_start_is_learned_from_images_alone() -> None:
    random = np.random.default_rng(1)
    images = [random.random((24, 24)).astype(np.float32), stripes(8)]
    means = learn_dictionary(images)
    assert means.shape == dictionary().shape
    assert np.array_equal(means, learn_dictionary(images))
