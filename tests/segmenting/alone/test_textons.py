import numpy as np

from pixelcluster.segmenting.alone.textons import (
    N_TEXTONS,
    descriptors,
    dictionary,
    learn_dictionary,
    textons,
)


def stripes(period: int) -> np.ndarray:
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * np.arange(96) / period)
    return np.tile(wave, (96, 1)).astype(np.float32)


def test_the_dictionary_that_ships_tells_textures_apart() -> None:
    assert dictionary().shape == (N_TEXTONS, descriptors(stripes(6)).shape[-1])
    shares = [np.bincount(textons(stripes(p))[20:-20, 20:-20].ravel(), minlength=N_TEXTONS) for p in (4, 12)]
    fine, coarse = (counts / counts.sum() for counts in shares)
    assert np.minimum(fine, coarse).sum() < 0.2


def test_contrast_is_compressed() -> None:
    strong, weak = descriptors(stripes(6)), descriptors(0.5 + (stripes(6) - 0.5) / 10)
    assert 1 < np.linalg.norm(strong) / np.linalg.norm(weak) < 5


def test_a_dictionary_is_learned_from_images_alone() -> None:
    random = np.random.default_rng(1)
    images = [random.random((24, 24)).astype(np.float32), stripes(8)]
    means = learn_dictionary(images)
    assert means.shape == dictionary().shape
    assert np.array_equal(means, learn_dictionary(images))
