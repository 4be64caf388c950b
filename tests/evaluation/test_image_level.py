from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.data.splits import ImageSet
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.image_level import (
    METHOD_NAMES,
    choose_method,
    fit_and_score,
    limit_training,
    score,
    summarise,
)
from tests.baselines.image_level.planted import planted


def image_set(labels=True):
    truth = np.array([0, 0, 1, 1, 2, 2])
    images = np.repeat(truth * 100, 4).reshape(6, 2, 2, 1).astype(np.uint8)
    return ImageSet("toy", images, None, images, truth if labels else None, ("a", "b", "c"))


class Reader:
    """Reads the label from the brightness; one reading calls the last class another."""

    settings = ImageSettings(iterations=3)

    def __init__(self):
        self.history_ = [float(value) for value in range(20, 0, -1)]

    def fit(self, images):
        self.seen = len(images)
        return self

    def predict(self, images):
        return (images[:, 0, 0, 0] // 100 + 1) % 3

    def extra_predictions(self, images):
        return {"generator_only": np.minimum(images[:, 0, 0, 0] // 100, 1)}


def test_fit_without_labels_and_score_the_test_images():
    method = Reader()
    report = fit_and_score(method.fit, image_set(), 3, limit=4)
    assert method.seen == 4
    assert report["acc"] == 100
    assert report["nmi"] == report["ari"] == 1
    assert report["acc_generator_only"] == pytest.approx(200 / 3)
    assert (report["objective_start"], report["objective_end"]) == (19.5, 1.5)
    assert report["config"]["iterations"] == 3
    assert report["seconds"] >= 0


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 300)
    labels = np.where(rng.random(300) < 0.7, (truth + 1) % 4, rng.integers(0, 4, 300))
    found = score(labels, truth, 4, 4)
    assert found["nmi"] == pytest.approx(normalized_mutual_info_score(truth, labels))
    assert found["ari"] == pytest.approx(adjusted_rand_score(truth, labels))
    assert found["acc"] == pytest.approx(100 * np.mean((truth + 1) % 4 == labels))


def test_no_labels_no_score():
    with pytest.raises(PixelClusterError, match="toy has no test labels"):
        fit_and_score(Reader().fit, image_set(labels=False), 3)


def test_limited_training_images_are_spread_over_the_file():
    images = np.arange(100, dtype=np.uint8)[:, None, None, None]
    assert limit_training(images, 4).ravel().tolist() == [0, 33, 66, 99]
    assert limit_training(images, None) is images
    assert limit_training(images, 500) is images


def test_summary_of_two_seeds():
    rows = [
        {"acc": 50.0, "acc_x": 10.0, "nmi": 0.2, "ari": 0.1, "seconds": 1.0},
        {"acc": 70.0, "acc_x": 30.0, "nmi": 0.4, "ari": 0.3, "seconds": 3.0},
    ]
    found = summarise(rows)
    assert (found["acc"], found["acc_std"], found["acc_per_seed"]) == (60, 10, [50, 70])
    assert (found["acc_x"], found["acc_x_per_seed"]) == (20, [10, 30])
    assert found["nmi"] == pytest.approx(0.3)
    assert found["ari"] == pytest.approx(0.2)
    assert found["seconds_per_seed"] == [1, 3]


def test_methods_by_name_take_their_options(tmp_path):
    assert {"clustered-generator", "variational", "kmeans", "vade", "iic"} <= set(METHOD_NAMES)
    for name in set(METHOD_NAMES) - {"clustered-generator"}:
        method = choose_method(name, 7, seed=3, minutes=2).__self__
        assert (method.n_clusters, method.seed, method.minutes) == (7, 3, 2)
    with pytest.raises(PixelClusterError, match="unknown method 'magic'"):
        choose_method("magic", 3, seed=0)
    with pytest.raises(PixelClusterError, match="neither settings"):
        choose_method("dec", 3, seed=0, config=tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [("iterations: 0", "iterations"), ("steps: 3", "steps"), ("a: [", "not YAML"), (None, "no such file")],
)
def test_wrong_settings_are_named(tmp_path, text, words):
    path = tmp_path / "x.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PixelClusterError, match=words):
        choose_method("clustered-generator", 3, seed=0, config=path)


def test_clustered_generator_with_settings(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("{iterations: 3, start: random, potts_weight: 0, student_epochs: 0, side: 12}")
    train, labels = planted(30)
    data = ImageSet("planted", train, None, train, labels, ("a", "b", "c"))
    report = fit_and_score(choose_method("clustered-generator", 3, seed=0, config=path), data, 3)
    assert report["config"]["iterations"] == 3
    assert report["acc_generator_only"] > 0
