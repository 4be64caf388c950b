"""`ImageCluster` as scikit-learn and a user see it."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import estimator_checks

from pixelcluster.cluster.estimator import ImageCluster
from pixelcluster.cluster.model import Mode
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.errors import PixelClusterError
from pixelcluster.io.describe import describe
from tests.cluster.conftest import planted

Shapes = tuple[NDArray[np.uint8], NDArray[np.int64]]
TINY = ImageSettings(
    side=8,
    generator_side=4,
    n_factors=1,
    iterations=2,
    batch_size=64,
    inference_steps=1,
    student_epochs=0,
)


@pytest.fixture(scope="module")
def fitted(shapes: Shapes, quick: ImageSettings) -> ImageCluster:
    """A model of the planted shapes."""
    return ImageCluster(3, settings=quick.model_copy(update={"student_epochs": 1})).fit(shapes[0])


@pytest.mark.parametrize(
    "check",
    [
        "check_no_attributes_set_in_init",
        "check_estimators_unfitted",
        "check_get_params_invariance",
        "check_set_params",
        "check_parameters_default_constructible",
        "check_estimators_fit_returns_self",
        "check_complex_data",
        "check_estimators_empty_data_messages",
        "check_estimators_nan_inf",
        "check_estimators_overwrite_params",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_fit2d_predict1d",
        "check_estimator_sparse_array",
        "check_dict_unchanged",
        "check_readonly_memmap_input",
    ],
)
def test_scikit_learns_own_checks(check: str) -> None:
    """Those that concern a clusterer of rows."""
    getattr(estimator_checks, check)("ImageCluster", ImageCluster(3, settings=TINY))


def test_attributes_and_shapes(fitted: ImageCluster, shapes: Shapes) -> None:
    """labels_, predict, predict_proba and transform agree."""
    assert adjusted_rand_score(shapes[1], fitted.labels_) > 0.9
    probabilities = fitted.predict_proba(shapes[0][:20])
    assert probabilities.shape == (20, 3)
    assert np.array_equal(probabilities.argmax(1), fitted.predict(shapes[0][:20]))
    assert fitted.transform(shapes[0][:20]).shape == (20, fitted.model_.generator.n_latent)
    assert set(fitted.extra_predictions(shapes[0][:5])) == {"generator_only", "fast"}


def test_order_and_company_of_images_do_not_matter(fitted: ImageCluster, shapes: Shapes) -> None:
    """Each image is read alone."""
    together = fitted.predict_proba(shapes[0][:12])
    np.testing.assert_allclose(fitted.predict_proba(shapes[0][:12][::-1])[::-1], together, atol=1e-4)
    np.testing.assert_allclose(fitted.predict_proba(shapes[0][3:4]), together[3:4], atol=1e-4)


def test_save_load_and_pickle(fitted: ImageCluster, shapes: Shapes, tmp_path: Path) -> None:
    """A folder and a pickle give the same answers."""
    fitted.save(tmp_path / "model")
    wanted = fitted.predict(shapes[0][:30])
    assert np.array_equal(ImageCluster.load(tmp_path / "model").predict(shapes[0][:30]), wanted)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(shapes[0][:30]), wanted)
    assert clone(fitted).get_params()["n_clusters"] == 3


@pytest.mark.parametrize("kind", ["rows", "short rows", "array", "colour", "folder"])
def test_a_loaded_model_takes_what_it_was_fitted_on(kind: str, tmp_path: Path) -> None:
    """The range and the length of rows are part of the model."""
    grey, colour = planted(12)[0], np.random.default_rng(0).integers(0, 256, (12, 9, 8, 3), dtype=np.uint8)
    for index, image in enumerate(colour):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    given = {
        "rows": grey.reshape(12, -1) / 7.0 - 3,
        "short rows": grey.reshape(12, -1)[:, 100:107] * 1e3,
        "array": grey[..., 0] / 255,
        "colour": colour,
        "folder": tmp_path,
    }[kind]
    model = ImageCluster(2, settings=TINY).fit(given)
    model.save(tmp_path / "model")
    again = ImageCluster.load(tmp_path / "model")
    part = given if kind == "folder" else given[:5]  # of another range than all
    assert np.array_equal(again.predict(part), model.predict(part))
    assert np.array_equal(again.tensor(part), model.tensor(part))
    if "rows" in kind:
        assert again.n_features_in_ == model.n_features_in_
        with pytest.raises(ValueError, match="features"):
            again.predict(part[:, 1:])
    else:
        with pytest.raises(PixelClusterError, match="fitted on images"):
            again.predict(np.zeros((2, 64)))


def test_a_folder_of_the_version_before_loads(fitted: ImageCluster, shapes: Shapes, tmp_path: Path) -> None:
    """Its settings know of no rows."""
    fitted.save(tmp_path)
    path = tmp_path / "cluster.yaml"
    path.write_text(path.read_text().replace("rows: null\n", ""))
    assert "rows" not in path.read_text()
    again = ImageCluster.load(tmp_path)
    assert np.array_equal(again.predict(shapes[0][:9]), fitted.predict(shapes[0][:9]))


@pytest.mark.parametrize(("mode", "part"), [("generator", "generator"), ("fast", "student")])
def test_an_answer_that_is_no_number_is_no_cluster(
    fitted: ImageCluster, shapes: Shapes, mode: Mode, part: str
) -> None:
    """argmax calls NaN label 0."""
    model = copy.deepcopy(fitted)
    for parameter in getattr(model.model_, part).parameters():
        parameter.data.fill_(torch.nan)
    with pytest.raises(PixelClusterError, match="not finite"):
        model.predict(shapes[0][:3], mode=mode)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, fitted: ImageCluster) -> None:
    """Nothing there, and something else there."""
    with pytest.raises(PixelClusterError, match="is no image-level model"):
        ImageCluster.load(tmp_path)
    fitted.save(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(PixelClusterError, match="fit it again"):
        ImageCluster.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("images", "labels", "problem"),
    [
        (np.zeros((5, 4, 4, 2), np.uint8), None, "1 or 3 channels"),
        (np.full((5, 4, 4), np.nan), None, "NaN"),
        (np.full((5, 4, 4), 3.0), None, "outside"),
        (np.zeros((5, 4, 4), np.uint8), None, "1 distinct images for 3 clusters"),
        ([], None, "no image was given"),
        (np.zeros((5, 4, 4), np.uint8), [0, 1], "labels for 5 images"),
        (np.zeros((5, 4, 4), np.uint8), [0, 1, 2, 3, -1], "from -1"),
        (np.zeros((5, 4, 4), np.uint8), [-1] * 5, "every label is -1"),
    ],
)
def test_bad_input_ends_in_a_line(images: object, labels: list[int] | None, problem: str) -> None:
    """What was got and what was wanted."""
    with pytest.raises(ValueError, match=problem):
        ImageCluster(3, settings=TINY).fit(images, labels=labels)  # type: ignore[arg-type]


def test_arguments_that_are_none(fitted: ImageCluster, shapes: Shapes) -> None:
    """Refused before anything is computed."""
    for seed in (-1, 2**45, True):
        with pytest.raises(PixelClusterError, match="seed is"):
            ImageCluster(3, settings=TINY, seed=seed).fit(shapes[0])
    with pytest.raises(PixelClusterError, match="n_clusters is True; wanted a whole number"):
        ImageCluster(True, settings=TINY).fit(shapes[0])
    with pytest.raises(PixelClusterError, match="mode is 'slow'; wanted exact or generator or fast"):
        fitted.predict(shapes[0][:3], mode="slow")  # type: ignore[arg-type]


def test_whole_numbers_of_numpy_are_as_those_of_python(shapes: Shapes, tmp_path: Path) -> None:
    """A model of such numbers is the same, and is saved."""
    model = ImageCluster(np.int64(3), settings=TINY, seed=np.int64(4)).fit(shapes[0])
    model.save(tmp_path / "model")
    plain = ImageCluster(3, settings=TINY, seed=4).fit(shapes[0])
    np.testing.assert_array_equal(model.predict(shapes[0]), plain.predict(shapes[0]))
    assert ImageCluster.load(tmp_path / "model").n_clusters == 3


def test_colour_is_not_forced_on_a_grey_model(fitted: ImageCluster) -> None:
    """The other way round a grey image becomes a colour one."""
    with pytest.raises(PixelClusterError, match="fitted on grey"):
        fitted.predict(np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3), dtype=np.uint8))


def test_hostile_settings_are_refused(tmp_path: Path, fitted: ImageCluster) -> None:
    """Deep YAML and sizes nobody fits end before memory or minutes are spent."""
    fitted.save(tmp_path / "model")
    path = tmp_path / "model" / "cluster.yaml"
    original = path.read_text()
    for text in ("[" * 20_000, original.replace("n_factors: 2", "n_factors: 99999999"), "channels: 7\n"):
        path.write_text(text)
        with pytest.raises(PixelClusterError) as caught:
            ImageCluster.load(tmp_path / "model")
        assert len(str(caught.value)) < 400 + len(str(path))


def test_info_describes_the_model(tmp_path: Path, fitted: ImageCluster) -> None:
    """`pixelcluster info` knows both kinds of model."""
    fitted.save(tmp_path / "model")
    facts = describe(tmp_path / "model")
    assert facts["kind"] == "image-level model"
    assert facts["config"]["n_clusters"] == 3
