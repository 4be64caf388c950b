from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def quadrants() -> np.ndarray:
    """(40, 60, 3) float32: four flat colours, so that every method with k=4 finds the same regions."""
    image = np.zeros((40, 60, 3), dtype=np.float32)
    image[:20, :30], image[:20, 30:] = (1, 0, 0), (0, 1, 0)
    image[20:, :30], image[20:, 30:] = (0, 0, 1), (1, 1, 1)
    return image


@pytest.fixture
def photo(tmp_path: Path, quadrants: np.ndarray) -> Callable[[str], Path]:
    """Write the four quadrants under any name below tmp_path."""

    def write(name: str = "photo.png") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((quadrants * 255).astype(np.uint8)).save(path)
        return path

    return write


def grey_levels(
    image: np.ndarray,
    n_clusters: int | None = None,
    probabilities: bool = False,
    watch: object = None,
) -> SimpleNamespace:
    """Stand-in for the single-image method: equal slices of the colours' rank, none is empty."""
    k = n_clusters or 4
    rank = np.unique(image.reshape(-1, 3) @ (0.3, 0.6, 0.11), return_inverse=True)[1]
    labels = (rank * k // (rank.max() + 1)).reshape(image.shape[:2]).astype(np.int32)
    p = (labels == np.arange(labels.max() + 1)[:, None, None]).astype(np.float32)
    return SimpleNamespace(label_map=labels, probabilities=p if probabilities else None, n_clusters=len(p))


@pytest.fixture
def fake_single(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in where `pixelcluster.segment` looks for the method."""
    module = ModuleType("pixelcluster.segmenting.alone.single")
    module.segment_image = grey_levels  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pixelcluster.segmenting.alone.single", module)
