from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image
from sklearn.base import clone

from pixelcluster.cli.main import cli
from pixelcluster.config import RunConfig
from pixelcluster.config_file import dump_config
from pixelcluster.device import choose_device
from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.metrics.matching import Confusion
from pixelcluster.segmenting.api import one_image_settings, segment
from pixelcluster.segmenting.estimator import PixelCluster
from tests.synthetic import settings, textures

STUDENT = {"enabled": True, "pretrained": False, "encoder": "test_resnet", "views": 1, "steps": 2}


@pytest.fixture(scope="module")
def fitted() -> PixelCluster:
    return PixelCluster(config=settings()).fit(textures(5)[0])


def write(folder: Path, name: str, image: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image * 255 + 0.5).astype(np.uint8)).save(folder / name)
    return folder / name


def test_fit_predict_save_load(fitted, tmp_path) -> None:
    images, labels = textures(7)
    confusion = Confusion(3, 3)
    fitted.save(tmp_path)
    again = PixelCluster.load(tmp_path)
    for image, label in zip(images, labels, strict=True):
        result = fitted.predict(image, probabilities=True)
        confusion.update(result.label_map, label)
        np.testing.assert_array_equal(again.predict(image).label_map, result.label_map)
    assert confusion.acc > 0.9
    assert result.n_clusters == 3
    assert result.probabilities.shape == (3, 96, 96)
    assert result.entropy.max() <= np.log(3) + 1e-3
    assert {"mode": "exact", "stack": "texture", "seed": 0}.items() <= result.info.items()


def test_every_kind_of_input_gives_one_result(fitted, tmp_path) -> None:
    bytes_image = (textures(1)[0][0] * 255 + 0.5).astype(np.uint8)
    path = write(tmp_path, "a.png", bytes_image / 255)
    wanted = fitted.predict(path).label_map
    for same in (bytes_image, Image.open(path), torch.from_numpy(bytes_image).permute(2, 0, 1), str(path)):
        np.testing.assert_array_equal(fitted.predict(same).label_map, wanted)


def test_choices_override_the_configuration(tmp_path) -> None:
    (tmp_path / "c.yaml").write_text(
        dump_config(settings(n_clusters=5, targets={"options": {"texture": {"scales": [1.0]}}}))
    )
    model = PixelCluster(2, config=tmp_path / "c.yaml")
    assert model._settings().n_clusters == 2
    assert model._settings().targets.options == {"texture": {"scales": [1.0]}}
    other = PixelCluster(stack="rgb", config=str(tmp_path / "c.yaml"))._settings()
    assert (other.n_clusters, other.targets.stack, other.targets.options) == (5, "rgb", {})
    assert PixelCluster("auto", config=settings())._settings().n_clusters == "auto"
    assert PixelCluster()._settings() == RunConfig()


@pytest.mark.parametrize("n_clusters", [0, -3, 2.5, "many", True])
def test_a_number_of_clusters_that_is_none(n_clusters) -> None:
    with pytest.raises(PixelClusterError, match="n_clusters is"):
        PixelCluster(n_clusters, config=settings()).fit(textures(1)[0])


def test_wrong_arguments_are_named(fitted) -> None:
    image = textures(1, side=32)[0][0]
    for seed in (-1, 2**32):
        with pytest.raises(PixelClusterError, match="seed is"):
            PixelCluster(seed=seed)
        with pytest.raises(PixelClusterError, match="seed is"):
            segment(image, 2, seed=seed)
    with pytest.raises(PixelClusterError, match="mode is 'nonsense'; wanted fast or exact"):
        fitted.predict(image, mode="nonsense")
    with pytest.raises(PixelClusterError, match="scribbles are float64; wanted whole numbers"):
        fitted.predict(image, scribbles=np.zeros((32, 32)))


def test_settings_that_exclude_each_other_are_refused_before_any_image_is_read() -> None:
    config = settings(prior={"proportions": False})
    with pytest.raises(PixelClusterError, match="pruned by their proportions"):
        PixelCluster("auto", config=config).fit("no such folder")
    with pytest.raises(PixelClusterError, match="no sigma"):
        PixelCluster(config=settings(generator={"sigma": 0.3})).fit("no such folder")
    assert PixelCluster(3, config=config)._settings().n_clusters == 3


def test_a_date_is_a_seed() -> None:
    model = PixelCluster(config=settings(training={"epochs": 1}), seed=20_261_122)
    assert model.fit(textures(1, side=32)[0]).model_.history


def test_whole_numbers_of_numpy_are_as_those_of_python(tmp_path) -> None:
    images, config = textures(1, side=32)[0], settings(training={"epochs": 1})
    model = PixelCluster(np.int64(2), config=config, seed=np.int64(5)).fit(images)
    model.save(tmp_path)
    result, plain = model.predict(images[0]), PixelCluster(2, config=config, seed=5).fit(images)
    np.testing.assert_array_equal(result.label_map, plain.predict(images[0]).label_map)
    alone = segment(images[0], np.int64(2), stack="rgb", seed=np.int64(5))
    assert type(result.info["seed"]) is type(alone.info["seed"]) is int
    assert PixelCluster.load(tmp_path).model_.config.n_clusters == 2
    with pytest.raises(PixelClusterError, match="seed is True"):
        plain.set_params(seed=True).fit(images)


def test_wrong_use_is_named(fitted) -> None:
    images, _ = textures(2, side=32)
    model = PixelCluster(config=settings())
    with pytest.raises(PixelClusterError, match="not fitted"):
        model.predict(images[0])
    with pytest.raises(PixelClusterError, match="not fitted"):
        model.save("nowhere")
    with pytest.raises(PixelClusterError, match="images is one ndarray"):
        model.fit(images[0])
    with pytest.raises(PixelClusterError, match="no images"):
        model.fit([])
    with pytest.raises(PixelClusterError, match="1 masks for 2 images"):
        model.fit(images, masks=[np.ones((32, 32), dtype=bool)])
    with pytest.raises(PixelClusterError, match=r"mask 1 is \(4, 4\), its image \(32, 32\)"):
        model.fit(images, masks=[np.ones((32, 32), dtype=bool), np.ones((4, 4), dtype=bool)])
    with pytest.raises(PixelClusterError, match="500 clusters wanted of"):
        PixelCluster(500, config=settings()).fit(images)
    with pytest.raises(PixelClusterError, match="device is 'tpu'"):
        choose_device("tpu")


def test_numbers_as_masks_mean_the_same(fitted) -> None:
    images, _ = textures(2, side=32)
    mask = np.ones((32, 32), dtype=bool)
    mask[:12] = False
    config = settings(training={"epochs": 1})
    first = PixelCluster(config=config).fit(images, masks=[mask, mask])
    second = PixelCluster(config=config).fit(images, masks=[mask.astype(np.uint8) * 255] * 2)
    assert first.model_.history == second.model_.history


def test_a_folder_of_tiny_grey_and_mixed_images(tmp_path) -> None:
    images, _ = textures(3, side=40)
    write(tmp_path, "a.png", images[0])
    write(tmp_path, "b.png", images[1][:23, :37])
    write(tmp_path, "grey.png", images[2][..., 0])
    write(tmp_path, "dot.png", np.full((1, 1, 3), 0.5))
    write(tmp_path, "line.png", images[0][:1])
    write(tmp_path / "deeper", "flat.png", np.full((9, 50, 3), 0.3))
    (tmp_path / "broken.png").write_text("no")
    for stack in ("texture", "rgb+sobel"):
        model = PixelCluster(config=settings(training={"epochs": 2, "batch_size": 16}), stack=stack)
        with pytest.warns(PixelClusterWarning, match=r"left out \S*broken\.png: not an image"):
            model.fit(tmp_path)
        assert [path.name for path, _ in model.failures_] == ["broken.png"]
        for path in sorted(tmp_path.rglob("*.png")):
            if path.name != "broken.png":
                with Image.open(path) as picture:
                    assert model.predict(path).label_map.shape == picture.size[::-1]


def test_the_cap_of_pixels_is_that_of_training_images_pictures_and_scribbles(tmp_path) -> None:
    images, _ = textures(2, side=32)
    write(tmp_path / "in", "a.png", images[0])
    marks = np.zeros((32, 32), dtype=np.uint8)
    marks[4:8, 4:8] = 1
    Image.fromarray(marks).save(tmp_path / "marks.png")
    config = settings(training={"epochs": 1})
    with pytest.raises(PixelClusterError, match="max_pixels="):
        PixelCluster(config=config, max_pixels=1023).fit(tmp_path / "in")
    model = PixelCluster(config=config, max_pixels=1024).fit(tmp_path / "in")
    found = model.predict(tmp_path / "in" / "a.png", scribbles=tmp_path / "marks.png")
    assert (found.label_map[4:8, 4:8] == 1).all()
    model.max_pixels = 1023
    for picture in (images[0], tmp_path / "in" / "a.png"):
        with pytest.raises(PixelClusterError, match="over the cap"):
            model.predict(picture, scribbles=tmp_path / "marks.png")


def test_images_of_one_colour_have_one_cluster() -> None:
    flat = np.full((20, 30, 3), 0.4, dtype=np.float32)
    model = PixelCluster("auto", config=settings(training={"epochs": 2})).fit([flat, flat[:10]])
    assert model.model_.config.n_clusters == 1
    assert (model.predict(flat).label_map == 0).all()


def test_training_and_segmenting_from_the_command_line(tmp_path) -> None:
    for index, image in enumerate(textures(3, side=64)[0]):
        write(tmp_path / "in", f"{index}.png", image)
    (tmp_path / "c.yaml").write_text(dump_config(settings(n_clusters=2, training={"epochs": 2})))

    def run(*arguments: object):
        return CliRunner().invoke(cli, [str(argument) for argument in arguments])

    out, config = tmp_path / "model", ("--config", tmp_path / "c.yaml")
    for options, found in [((), {2}), (("-k", 3), {3}), (("-k", "auto"), set(range(1, 21)))]:
        result = run("train", tmp_path / "in", "-o", out, *config, *options, "--overwrite")
        assert result.exit_code == 0, result.output
        k = yaml.safe_load((out / "config.yaml").read_text())["n_clusters"]
        assert k in found
    assert k > 3  # two epochs prune little
    assert (out / "samples.png").is_file()
    result = run("segment", tmp_path / "in", "--model", out, "-o", tmp_path / "results")
    assert result.exit_code == 0, result.output
    assert len([*(tmp_path / "results").glob("*_labels.png")]) == 3
    result = run("info", out)
    assert result.exit_code == 0, result.output
    assert "objective" in result.output
    (out / "model.safetensors").write_bytes(b"\x80\x04K\x01.")
    result = run("segment", tmp_path / "in", "--model", out, "-o", tmp_path / "more")
    assert result.exit_code == 1
    assert "is no safetensors file" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("k", [3, None])
def test_one_image_with_a_stack_of_its_own(k) -> None:
    image, truth = (part[0] for part in textures(1, side=128, seed=2))
    result = segment(image, k, stack="texture", probabilities=True)
    assert result.info["mode"] == "exact"
    assert result.probabilities.shape == (result.n_clusters, 128, 128)
    confusion = Confusion(result.n_clusters, 3)
    confusion.update(result.label_map, truth)
    assert confusion.nmi > 0.5
    if k is not None:
        assert result.n_clusters == 3
        assert confusion.acc > 0.9


@pytest.mark.parametrize("shape", [(2, 2), (1, 200), (30, 41)])
def test_a_stack_on_tiny_images(shape) -> None:
    image = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    assert segment(image, 3, stack="rgb").label_map.shape == shape


def test_settings_of_one_image() -> None:
    config = one_image_settings((321, 481), 6, "texture")
    assert not config.student.enabled
    assert config.prior.concentration is None
    assert (config.targets.stack, config.targets.label_stride) == ("texture", 4)
    assert one_image_settings((20, 481), None, None).n_clusters == "auto"
    assert RunConfig.model_validate(config.model_dump()) == config


def test_stacks_without_encoder_import_no_encoder_library(fitted, tmp_path) -> None:
    fitted.save(tmp_path)
    program = "\n".join(
        [
            "import sys",
            "import pixelcluster",
            f"pixelcluster.PixelCluster.load({str(tmp_path)!r}).predict(__import__('numpy').zeros((16, 16)))",
            "heavy = {'timm', 'segmentation_models_pytorch', 'albumentations', 'skimage', 'sklearn'}",
            "print(sorted(heavy & set(sys.modules)))",
        ]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scikit_learn_may_clone_it(fitted: PixelCluster) -> None:
    copy = clone(fitted)
    assert repr(copy) == "PixelCluster(not fitted)"
    assert copy.config == fitted.config
    assert repr(copy.set_params(n_clusters=5, seed=3)) == "PixelCluster(n_clusters=5, not fitted)"
    assert copy.get_params()["seed"] == 3
    assert repr(fitted) == "PixelCluster(3 clusters, stack texture, fitted)"


def test_the_number_of_clusters_is_a_fitted_attribute(fitted: PixelCluster, tmp_path: Path) -> None:
    assert not hasattr(PixelCluster(4), "n_clusters_")
    assert fitted.n_clusters_ == 3
    fitted.save(tmp_path)
    loaded = PixelCluster.load(tmp_path)
    assert loaded.n_clusters_ == loaded.get_params()["n_clusters"] == 3


@pytest.mark.parametrize(
    ("stack", "options"), [("encoder", {"scales": [1]}), ("correspondence", {"scales": [1], "steps": 1})]
)
def test_copies_and_threads_label_as_the_model_does(stack: str, options: dict[str, object]) -> None:
    images, targets = textures(3, side=32)[0], {"stack": stack, "options": {stack: options}}
    config = settings(targets=targets, training={"epochs": 1}, student=STUDENT)
    model = PixelCluster(config=config).fit(images)
    wanted = [model.predict(image).label_map for image in images]
    for same in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal([same.predict(image).label_map for image in images], wanted)
    with ThreadPoolExecutor(3) as threads:
        found = [result.label_map for result in threads.map(model.predict, images)]
    np.testing.assert_array_equal(found, wanted)


def test_training_says_how_far_the_student_agrees(tmp_path: Path) -> None:
    paths = [write(tmp_path / "in", f"{i}.png", image) for i, image in enumerate(textures(3, side=32)[0])]
    (tmp_path / "c.yaml").write_text(dump_config(settings(training={"epochs": 1}, student=STUDENT)))
    out = tmp_path / "out"
    arguments = ["train", str(tmp_path / "in"), "-o", str(out), "--config", str(tmp_path / "c.yaml")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    model = PixelCluster.load(out)
    maps = [[model.predict(path, mode=mode).label_map for path in paths] for mode in ("fast", "exact")]
    share = np.mean(np.equal(*maps))
    assert share < 0.7  # two steps teach little
    last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["student_agreement"] == pytest.approx(share)
    assert last["student_loss"] > 0
    warning = f"warning: the student agrees with the chains on {100 * share:.0f} % of the pixels"
    assert warning in result.output
    command = ["segment", str(paths[0]), "--model", str(out), "-o", str(tmp_path / "labels"), "--overwrite"]
    assert warning not in CliRunner().invoke(cli, command).output
    assert warning in CliRunner().invoke(cli, [*command, "--mode", "fast"]).stderr


def test_several_images_and_image_level_models_are_named(fitted: PixelCluster, tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match="where there are several, call this for each"):
        fitted.predict([np.zeros((4, 4))])  # type: ignore[arg-type]
    (tmp_path / "cluster.yaml").touch()
    with pytest.raises(PixelClusterError, match="is a model of whole images"):
        PixelCluster.load(tmp_path)
