from __future__ import annotations

import numpy as np
import pytest

from pixelcluster.segmenting.alone.correct import correct_image
from pixelcluster.segmenting.alone.single import segment_image
from pixelcluster.segmenting.watch import Glimpse
from tests.segmenting.conftest import strokes

CAR, OTHER = (slice(60, 90), slice(20, 60)), (slice(70, 100), slice(120, 170))


def test_a_stroke_moves_what_looks_like_it_and_nothing_else(cars: np.ndarray) -> None:
    before = np.zeros((120, 200), np.int32)
    before[:40] = 3
    after = correct_image(cars, before, strokes((7, slice(74, 76), slice(30, 50))))
    assert after.dtype == np.int32
    for box in (CAR, OTHER):
        assert (after[box] == 7).mean() > 0.97
    assert (after[:38] == 3).all()
    assert set(np.unique(after)) == {0, 3, 7}
    assert (after == 7).sum() < 1.05 * (30 * 40 + 30 * 50)


def test_a_stroke_that_agrees_changes_nothing(cars: np.ndarray) -> None:
    before = segment_image(cars, n_clusters=3).label_map
    sky = int(before[5, 5])
    after = correct_image(cars, before, strokes((sky, slice(5, 9), slice(10, 90))))
    assert (after != before).mean() < 0.002


def test_strokes_stay_whatever_the_picture_says(cars: np.ndarray) -> None:
    before = np.zeros((120, 200), np.int32)
    before[:40] = 1
    marks = strokes((1, slice(100, 101), slice(3, 5)))
    marks[0, 0] = 9  # smaller than a cell
    after = correct_image(cars, before, marks)
    assert (after[marks >= 0] == marks[marks >= 0]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2), (30, 40)])
def test_pictures_of_one_colour_and_of_any_size(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 0.5, np.float32)
    marks = np.full(shape, -1, np.int32)
    marks[0, 0] = 4
    after = correct_image(image, np.zeros(shape, np.int32), marks)
    assert after[0, 0] == 4
    assert set(np.unique(after)) <= {0, 4}


def test_it_can_be_watched_and_ended(cars: np.ndarray) -> None:
    told: list[Glimpse] = []
    before = np.zeros((120, 200), np.int32)
    marks = strokes((1, slice(74, 76), slice(30, 50)))
    correct_image(cars, before, marks, watch=told.append)
    shares = [glimpse.share for glimpse in told]
    assert shares == sorted(shares)
    assert [glimpse.stage for glimpse in told][:: len(told) - 1] == ["evidence", "done"]

    def stop(glimpse: Glimpse) -> None:
        raise InterruptedError(glimpse.stage)

    with pytest.raises(InterruptedError, match="evidence"):
        correct_image(cars, before, marks, watch=stop)
