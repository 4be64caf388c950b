from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.read import read_image
from pixelcluster.segmenting.segmentation import Segmentation
from pixelcluster.segmenting.train import Training, train_folder


class FakeModel:
    """Keeps the calls of the estimator; predicts halves."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def fit(self, folder: Path, *, minutes: float | None, progress: Callable[..., None] | None) -> FakeModel:
        self.fitted = (folder, minutes)
        if progress is not None:
            progress({"step": 1})
        return self

    def predict(self, image: Path, mode: str) -> Segmentation:
        picture = read_image(image)
        halves = (np.arange(picture.shape[1]) * 2 // picture.shape[1])[None].repeat(len(picture), 0)
        return Segmentation.build(picture, halves, 2)

    def save(self, folder: Path) -> None:
        (folder / "model.safetensors").touch()


@pytest.fixture(autouse=True)
def fake_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("pixelcluster.estimator")
    module.PixelCluster = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pixelcluster.estimator", module)


def test_choices_reach_the_model_and_samples_are_drawn(photo: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("in/a.png", "in/b.png", "in/c.png"):
        photo(name)
    (tmp_path / "in" / "broken.png").write_text("no")
    states: list[object] = []
    model = train_folder(
        tmp_path / "in", tmp_path / "out", Training(n_clusters=2, minutes=3, seed=9), progress=states.append
    )
    assert model.options["n_clusters"] == 2
    assert model.options["seed"] == 9
    assert model.fitted == (tmp_path / "in", 3)
    assert states == [{"step": 1}]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["model.safetensors", "samples.png"]
    with Image.open(tmp_path / "out" / "samples.png") as sheet:
        assert sheet.width == 1600


def test_refusals_come_before_the_work(photo: Callable[[str], Path], tmp_path: Path) -> None:
    image = photo("in/a.png")
    (tmp_path / "empty").mkdir()
    for folder, output, word in [
        (tmp_path / "in", tmp_path / "in", "--overwrite"),
        (tmp_path / "in", image, "is a file"),
        (tmp_path / "gone", tmp_path / "out", "no folder"),
        (tmp_path / "empty", tmp_path / "out", "no image"),
    ]:
        with pytest.raises(PixelClusterError, match=word):
            train_folder(folder, output, Training())
    assert not (tmp_path / "out").exists()
