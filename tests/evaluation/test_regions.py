from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pixelcluster.data.bsds import Bsds
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.regions import choose_method, evaluate, summarise


@pytest.fixture
def dataset(tmp_path):
    """Two 2 x 4 images with one annotator: red left half, blue right half."""
    halves = np.array([[0, 0, 1, 1]] * 2, dtype=np.uint8)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for stem in ("a", "b"):
        Image.fromarray(np.where(halves[..., None] == 0, (255, 0, 0), (0, 0, 255)).astype(np.uint8)).save(
            tmp_path / "images" / f"{stem}.png"
        )
        Image.fromarray(halves).save(tmp_path / "labels" / f"{stem}_0.png")
    return Bsds(tmp_path)


def halves(image):
    return (image[..., 2] > 0.5).astype(np.int32)


def stripes(image):
    """Two labels in four components."""
    return np.indices(image.shape[:2])[1].astype(np.int32) % 2


def test_regions_are_components_and_raw_labels_stand_beside(dataset):
    ticks = []
    results = evaluate(dataset, {"halves": halves, "stripes": stripes}, lambda: ticks.append(1))
    assert len(ticks) == 4
    perfect, striped = (summarise(results[name]) for name in ("halves", "stripes"))
    assert [perfect[key] for key in ("pri", "voi", "covering", "miou")] == pytest.approx([1, 0, 1, 1])
    assert perfect["n_regions"] == 2
    # Components cover each half by .5; raw labels overlap it by 2 of 6 pixels.
    assert striped["n_regions"] == 4
    assert striped["covering"] == pytest.approx(0.5)
    assert striped["raw_labels"]["covering"] == pytest.approx(2 / 6)
    assert list(striped["per_image"]) == ["a", "b"]
    assert striped["per_image"]["a"]["voi"] == pytest.approx(1)
    assert striped["voi_std"] == pytest.approx(0)
    assert striped["n_images"] == 2
    assert striped["seconds"] >= 0


def test_maps_of_another_size_are_refused(dataset):
    with pytest.raises(PixelClusterError, match="small returned a map"):
        evaluate(dataset, {"small": lambda image: np.zeros((1, 1), np.int32)})


@pytest.mark.parametrize("name", ["felzenszwalb", "slic-merge", "cv2-kmeans"])
def test_the_rivals_run(dataset, name):
    assert len(evaluate(dataset, {name: choose_method(name)})[name]) == 2
