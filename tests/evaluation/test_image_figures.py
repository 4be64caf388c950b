"""The figures' numbers and files on the planted shapes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.data.splits import ImageSet
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.image_figures import accuracy_by_steps, merges_and_splits
from tests.cluster.conftest import SIDE, planted

SETTINGS = ImageSettings(
    side=SIDE, generator_side=8, n_factors=1, iterations=12, batch_size=32, student_epochs=0
)


@pytest.fixture(scope="module")
def shapes_set() -> ImageSet:
    """The planted shapes as an image set."""
    train, test = planted(60), planted(30, seed=1)
    return ImageSet("shapes", *train, *test, ("bar", "disc", "cross"))


def test_a_point_a_step_count_and_seed(shapes_set: ImageSet, tmp_path: Path) -> None:
    """Numbers for every fit."""
    lines: list[str] = []
    points = accuracy_by_steps(shapes_set, [0, 2], [0], SETTINGS, tell=lines.append)
    assert [(point["steps"], point["seed"]) for point in points] == [(0, 0), (2, 0)]
    assert all(33 <= point["acc"] <= 100 for point in points)
    assert len(lines) == 2


def test_without_test_labels_nothing_is_fitted(shapes_set: ImageSet) -> None:
    """One line before the minutes of fitting."""
    lines: list[str] = []
    with pytest.raises(PixelClusterError, match="shapes has no test labels"):
        accuracy_by_steps(replace(shapes_set, test_labels=None), [0], [0], SETTINGS, tell=lines.append)
    assert not lines


def test_shares_of_classes_and_a_sheet_a_cluster(shapes_set: ImageSet, tmp_path: Path) -> None:
    """Two clusters for three classes: together they hold every image."""
    (report,) = merges_and_splits(shapes_set, [2], SETTINGS, tmp_path, seed=0, tell=lambda line: None)
    assert sum(report["sizes"]) == 60
    np.testing.assert_allclose(np.sum(report["shares"], axis=1)[np.array(report["sizes"]) > 0], 1, atol=1e-3)
    assert (tmp_path / "2" / "generated.png").exists()
    assert list((tmp_path / "2").glob("cluster_*.png"))
