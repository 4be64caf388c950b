from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pixelcluster.config import RunConfig
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.read import ImageLike, read_image
from pixelcluster.segmenting.method import Method, Segmenter
from pixelcluster.segmenting.segmentation import Segmentation


class FakeModel:
    """Counts loads and keeps how it was called."""

    loads: list[tuple[Any, ...]]
    predictions: list[dict[str, Any]]
    fitted: list[dict[str, Any]]

    def __init__(self, **options: Any) -> None:
        self.fitted.append(options)

    @classmethod
    def load(cls, folder: Path, **options: Any) -> FakeModel:
        cls.loads.append((folder, options))
        return cls.__new__(cls)

    def fit(self, images: list[np.ndarray]) -> FakeModel:
        assert len(images) == 1
        return self

    def predict(self, source: ImageLike, **options: Any) -> Segmentation:
        self.predictions.append(options)
        image = read_image(source)
        return Segmentation.build(image, np.zeros(image.shape[:2], dtype=np.int32), 2)


@pytest.fixture(autouse=True)
def estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("pixelcluster.segmenting.estimator")
    FakeModel.loads, FakeModel.predictions, FakeModel.fitted = [], [], []
    module.PixelCluster = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pixelcluster.segmenting.estimator", module)


def test_a_model_is_loaded_once_for_all_images(photo: Callable[..., Path], tmp_path: Path) -> None:
    one = Segmenter(Method(model=tmp_path, mode="exact", seed=4, device="cpu", probabilities=True)).image
    one(photo("a.png"))
    one(photo("b.png"))
    assert FakeModel.loads == [(tmp_path, {"device": "cpu", "seed": 4, "max_pixels": MAX_PIXELS})]
    assert FakeModel.predictions == [{"mode": "exact", "probabilities": True, "scribbles": None}] * 2


def test_the_pixel_cap_is_the_models(tmp_path: Path) -> None:
    Segmenter(Method(model=tmp_path, max_pixels=100))
    assert FakeModel.loads[0][1]["max_pixels"] == 100


@pytest.mark.parametrize("method", [Method(stack="rgb", n_clusters=3), Method(mode="exact", n_clusters=3)])
def test_a_stack_or_exact_mode_fits_the_generator(photo: Callable[..., Path], method: Method) -> None:
    Segmenter(method).image(photo("a.png"))
    (options,) = FakeModel.fitted
    config = options["config"]
    assert (config.n_clusters, config.student.enabled, options["seed"]) == (3, False, 0)
    assert config.targets.stack == (method.stack or RunConfig().targets.stack)
    assert FakeModel.predictions == [{"mode": "exact", "probabilities": False}]


def test_a_model_chooses_the_mode_unless_told(photo: Callable[..., Path], tmp_path: Path) -> None:
    Segmenter(Method(model=tmp_path)).image(photo("a.png"))
    assert FakeModel.predictions == [{"mode": None, "probabilities": False, "scribbles": None}]


def test_what_a_report_says_of_a_method() -> None:
    assert Method().described() == {
        "clusters": "auto", "mode": "fast", "stack": "none", "seed": 0, "device": "auto"
    }  # fmt: skip
    assert Method(n_clusters=3, stack="rgb").described()["mode"] == "exact"  # a stack asks for the full model
    trained = Method(model=Path("a\nb"), bands=(4, 3), window=64).described()
    assert trained["model"] == r"a\nb"
    assert (trained["mode"], trained["bands"], trained["window"]) == ("the model's", "4, 3", "64 pixels")
