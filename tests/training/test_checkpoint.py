from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from pixelcluster.errors import PixelClusterError
from pixelcluster.io import write
from pixelcluster.segmenting.predict import label_image
from pixelcluster.segmenting.reader import Reader
from pixelcluster.training import student
from pixelcluster.training.checkpoint import load_model, save_model
from pixelcluster.training.run import fit_model
from pixelcluster.training.student import Student
from tests.synthetic import settings, textures

CPU = torch.device("cpu")


def fitted(stack: str = "texture", **changes):
    images, _ = textures(2, side=48)
    return fit_model(images, settings(targets={"stack": stack}, **changes), device=CPU), images


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model, images = fitted(training={"epochs": 2})
    folder = tmp_path_factory.mktemp("model")
    save_model(model, folder)
    return folder, model, images


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    for path in saved[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def labels_of(model, image):
    return label_image(Reader(model, "exact", 3, CPU), image)[0]


def test_a_loaded_model_labels_as_the_saved_one(saved) -> None:
    folder, model, images = saved
    again = load_model(folder, CPU)
    assert again.config == model.config
    assert again.history == model.history
    for image in images:
        np.testing.assert_array_equal(labels_of(model, image), labels_of(again, image))


@pytest.mark.parametrize(
    ("stack", "changes"),
    [
        ("rgb", {"prior": {"rows": 0}, "generator": {"latent_channels": 0}}),
        ("rgb+sobel", {"generator": {"noise": "full", "latent_stride": 4}}),
        ("patches", {"generator": {"form": "convolutional", "width": 4}}),
    ],
)
def test_every_kind_of_model_round_trips(tmp_path, stack, changes) -> None:
    model, images = fitted(stack, training={"epochs": 1}, **changes)
    save_model(model, tmp_path / "new" / "folder")
    again = load_model(tmp_path / "new" / "folder", CPU)
    np.testing.assert_array_equal(labels_of(model, images[0]), labels_of(again, images[0]))


@pytest.mark.parametrize("more", [False, True])
def test_a_student_is_built_once_unless_it_has_more_than_the_file_holds(
    saved, tmp_path, monkeypatch, more
) -> None:
    _, model, images = saved
    weights = Student(3, model.config.student, load_weights=False).eval()
    save_model(replace(model, student=weights), tmp_path)
    built = []

    class Counted(Student):
        def __init__(self, *args, **options) -> None:
            super().__init__(*args, **options)
            built.append(self)
            if more:
                self.register_buffer("offset", torch.arange(3), persistent=False)

    monkeypatch.setattr(student, "Student", Counted)
    again = load_model(tmp_path, CPU)
    assert len(built) == 1 + more
    assert not more or again.student.offset.tolist() == [0, 1, 2]
    for (name, old), new in zip(weights.named_parameters(), again.student.parameters(), strict=True):
        assert new.requires_grad == old.requires_grad, name
    image = torch.from_numpy(images[0]).movedim(2, 0)[None]
    with torch.no_grad():
        torch.testing.assert_close(again.student(image), weights(image), rtol=0, atol=0)


def test_a_loaded_model_does_not_hang_on_its_file(folder) -> None:
    again = load_model(folder, CPU)
    heads, proportions = again.generator.heads.clone(), again.prior.proportions.clone()
    content = (folder / "model.safetensors").read_bytes()
    with (folder / "model.safetensors").open("r+b") as handle:
        handle.write(bytes(len(content)))
    assert torch.equal(again.generator.heads, heads)
    assert torch.equal(again.prior.proportions, proportions)


def test_what_a_model_folder_holds(saved) -> None:
    folder, model, _ = saved
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.yaml",
        "metrics.jsonl",
        "model.safetensors",
    ]
    assert yaml.safe_load((folder / "config.yaml").read_text())["n_clusters"] == 3
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert entries == model.history
    assert [entry["epoch"] for entry in entries] == [0, 1]


class Harmful:
    """Makes a folder when it is unpickled."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __reduce__(self):
        return os.mkdir, (self.where,)


def test_a_pickle_is_refused_and_not_run(folder) -> None:
    with (folder / "model.safetensors").open("wb") as handle:
        pickle.dump(Harmful(str(folder / "ran")), handle)
    with pytest.raises(PixelClusterError, match=r"model\.safetensors: is no safetensors file"):
        load_model(folder, CPU)
    torch.save({"generator.heads": Harmful(str(folder / "ran"))}, folder / "model.safetensors")
    with pytest.raises(PixelClusterError, match="is no safetensors file"):
        load_model(folder, CPU)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_a_cut_file_is_refused(folder, keep) -> None:
    content = (folder / "model.safetensors").read_bytes()
    size = keep if isinstance(keep, int) else int(keep * len(content))
    (folder / "model.safetensors").write_bytes(content[:size])
    with pytest.raises(PixelClusterError, match=r"model\.safetensors: is no safetensors file") as caught:
        load_model(folder, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("generator.heads"), "generator does not fit config.yaml"),
        (lambda t: t.pop("prior.proportions"), "holds no model of 3 clusters"),
        (lambda t: t.update({"prior.proportions": torch.full((4,), 0.25)}), "holds no model of 3 clusters"),
        (lambda t: t.update({"prior.rows": torch.full((8, 4), 0.25)}), "prior.rows is"),
        (lambda t: t.update({"prior.rows": torch.ones(8, 3, dtype=torch.int64)}), "prior.rows is"),
        (lambda t: t["prior.proportions"].fill_(torch.nan), "prior.proportions is not finite"),
        (lambda t: t["generator.heads"].fill_(torch.inf), "generator.heads is not finite"),
        (lambda t: t.update({"generator.heads": t["generator.heads"].double()}), "generator does not fit"),
        (lambda t: t.update({"generator.heads": torch.zeros(3, 2, 5)}), "generator does not fit"),
        (lambda t: t.update({"stack.mean": torch.zeros(2)}), "stack does not fit"),
        (lambda t: t.update({"generator.more": torch.zeros(2)}), "generator does not fit"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(folder, change, words) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(PixelClusterError, match=words) as caught:
        load_model(folder, CPU)
    assert "\n" not in str(caught.value)


def test_changed_settings_are_refused(folder) -> None:
    values = yaml.safe_load((folder / "config.yaml").read_text())
    for change, words in [
        ({"n_clusters": 4}, "holds no model of 4 clusters"),
        ({"n_clusters": "auto"}, "holds no model of auto clusters"),
        ({"targets": {"stack": "rgb"}}, "stack does not fit"),
        ({"targets": {"stack": "nothing"}}, "unknown target stack"),
        ({"surprise": 1}, "unknown key surprise"),
    ]:
        (folder / "config.yaml").write_text(yaml.safe_dump(values | change))
        with pytest.raises(PixelClusterError, match=words):
            load_model(folder, CPU)


@pytest.mark.parametrize(
    "change",
    [
        {"generator": {"width": 10**9}},
        {"generator": {"latent_channels": 10**9}},
        {"generator": {"form": "convolutional", "width": 10**8}},
        {"targets": {"stack": "patches", "options": {"patches": {"n_atoms": 10**8}}}},
        {"targets": {"stack": "patches", "options": {"patches": {"patch_size": 10**5}}}},
    ],
)
def test_settings_that_ask_for_more_memory_than_the_file_are_refused_first(folder, change) -> None:
    values = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(values | change))
    with pytest.raises(PixelClusterError, match="does not fit"):
        load_model(folder, CPU)


def test_a_model_is_replaced_whole_or_not_at_all(saved, folder, monkeypatch) -> None:
    _, model, _ = saved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(path: Path) -> None:
        if path.read_bytes() == before["config.yaml"]:  # the last to get its name
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "flush", full)
    with pytest.raises(PixelClusterError, match="No space left"):
        save_model(replace(model, history=[]), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    monkeypatch.undo()
    order, rename = [], os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (order.append(new.name), rename(old, new)))
    real = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path, **kw: (order.append(f"-{path.name}"), real(path, **kw)))
    save_model(replace(model, history=[]), folder)
    names = ["model.safetensors", "metrics.jsonl", "config.yaml"]
    assert order == [*(f"-{name}" for name in names), *names]


def test_folders_without_a_model(folder, tmp_path_factory) -> None:
    with pytest.raises(PixelClusterError, match="is no model folder"):
        load_model(tmp_path_factory.mktemp("empty"), CPU)
    with pytest.raises(PixelClusterError, match="is no model folder"):
        load_model(folder / "gone", CPU)
    (folder / "metrics.jsonl").write_text("{cut")
    with pytest.raises(PixelClusterError, match="delete it"):
        load_model(folder, CPU)
    (folder / "metrics.jsonl").unlink()
    assert load_model(folder, CPU).history == []
