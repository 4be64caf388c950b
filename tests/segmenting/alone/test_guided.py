from __future__ import annotations

import numpy as np
import pytest

from pixelcluster import segment
from pixelcluster.errors import PixelClusterError
from pixelcluster.segmenting.alone.evidence import Evidence, image_evidence
from pixelcluster.segmenting.alone.guided import guide_clusters, marks_on_grid
from pixelcluster.segmenting.alone.hierarchy import merge_regions
from pixelcluster.segmenting.alone.single import segment_image
from tests.segmenting.conftest import strokes


def test_a_stroke_on_one_car_finds_the_other(cars) -> None:
    marks = strokes((3, slice(72, 76), slice(30, 50)), (1, slice(110, 113), slice(20, 180)))
    result = segment_image(cars, scribbles=marks, probabilities=True)
    labels = result.label_map
    assert (labels[marks >= 0] == marks[marks >= 0]).all()
    assert (labels[62:88, 22:58] == 3).mean() > 0.97
    assert (labels[72:98, 122:168] == 3).mean() > 0.97
    assert (labels[105:, :] == 1).mean() > 0.97
    assert set(np.unique(labels[:36])) == {0}  # no stroke: the first free id
    assert result.n_clusters == len(result.probabilities) == 4
    np.testing.assert_allclose(result.probabilities.sum(0), 1, atol=1e-5)
    assert (result.probabilities[:, marks == 3] == [[0], [0], [0], [1]]).all()


def test_strokes_of_one_class_join_clusters(cars) -> None:
    marks = strokes((0, slice(10, 12), slice(5, 190)), (0, slice(110, 112), slice(5, 190)))
    marks[75:77, 30:50] = 1
    labels = segment_image(cars, scribbles=marks).label_map
    assert (labels[:36] == 0).mean() > 0.97
    assert (labels[105:] == 0).mean() > 0.97


def test_no_more_clusters_than_asked(cars) -> None:
    marks = strokes((1, slice(72, 76), slice(30, 50)), (2, slice(110, 113), slice(20, 180)))
    labels = segment_image(cars, scribbles=marks, n_clusters=2).label_map
    assert set(np.unique(labels)) == {1, 2}
    with pytest.raises(PixelClusterError, match="2 classes, but 1"):
        segment_image(cars, scribbles=marks, n_clusters=1)


def test_regions_are_joined_once_however_many_clusters_are_wanted(cars, monkeypatch) -> None:
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return merge_regions(*arguments)

    monkeypatch.setattr("pixelcluster.segmenting.alone.search.merge_regions", counted)
    marks = strokes((1, slice(72, 76), slice(30, 50)))
    labels = segment_image(cars, scribbles=marks, n_clusters=9).label_map
    assert len(np.unique(labels)) == 9
    assert len(calls) == 1


def test_strokes_against_the_picture_are_kept(cars) -> None:
    """Two classes on one flat colour: the strokes stay, however little the picture says."""
    marks = strokes((0, slice(5, 9), slice(5, 60)), (1, slice(20, 24), slice(120, 190)))
    labels = segment_image(cars, scribbles=marks).label_map
    assert (labels[marks >= 0] == marks[marks >= 0]).all()


def test_a_constant_image_has_what_is_painted() -> None:
    image = np.full((30, 40, 3), 0.5, np.float32)
    marks = np.full((30, 40), -1, np.int32)
    marks[2:4, 2:4], marks[20:22, 20:22] = 4, 2
    for k in (None, 2):
        labels = segment_image(image, scribbles=marks, n_clusters=k).label_map
        assert (labels[marks >= 0] == marks[marks >= 0]).all()
        assert set(np.unique(labels)) <= {0, 2, 4}


@pytest.mark.parametrize(("dot", "k"), [(2, None), (2, 3), (0, None)])
def test_a_class_of_one_pixel_is_kept(dot: int, k: int | None) -> None:
    """Others outnumber it in its cell of 6 x 6 pixels."""
    image = np.full((1200, 1200, 3), 0.2, np.float32)
    image[:, 600:] = (0.8, 0.3, 0.2)
    marks = np.full((1200, 1200), -1, np.int32)
    marks[400:440, 100:500], marks[400:440, 700:1100] = 1, 3
    marks[420, 300] = dot
    result = segment_image(image, scribbles=marks, n_clusters=k, probabilities=True)
    known = marks >= 0
    assert (result.label_map[known] == marks[known]).all()
    assert set(np.unique(result.label_map)) == {1, 3, dot}
    assert (result.label_map == dot).sum() == 1
    assert result.probabilities is not None
    assert result.probabilities.shape[0] == result.n_clusters == 4
    assert result.probabilities[dot, 420, 300] == 1


def stripes() -> tuple[Evidence, np.ndarray]:
    """Four stripes of one colour each, 12 x 16, and their ids as basins."""
    atoms = np.repeat(np.arange(4), 4)[None].repeat(12, 0)
    image = np.array([[0.2, 0.3, 0.7], [0.8, 0.5, 0.1], [0.1, 0.6, 0.2], [0.9, 0.9, 0.9]], np.float32)[atoms]
    return image_evidence(image)[0], atoms


def test_a_class_that_wins_no_basin_counts_among_the_clusters() -> None:
    evidence, atoms = stripes()
    marks = np.full(atoms.shape, -1, np.int32)
    marks[0, :4] = [5, 5, 5, 7]
    marks[0, 4:6] = 9
    _, names = guide_clusters(atoms, atoms, marks, np.array([5, 7, 9]), evidence, 3)
    assert sorted(names.tolist()) == [5, 7, 9]


def test_a_class_may_win_a_cluster_and_none_of_its_basins() -> None:
    evidence, atoms = stripes()
    marks = np.full(atoms.shape, -1, np.int32)
    for c in (1, 2, 3):  # outnumbers class 0 in its own stripe, but not in all four
        marks[0, 4 * c : 4 * c + 3] = [c, c, 0]
    clusters, names = guide_clusters(np.zeros_like(atoms), atoms, marks, np.arange(4), evidence, 4)
    np.testing.assert_array_equal(names[clusters[1]], atoms[1])


def test_cells_take_the_class_most_pixels_name() -> None:
    marks = np.full((4, 6), -1, np.int32)
    marks[0, :3] = [2, 2, 1]
    marks[3, 5] = 0
    assert marks_on_grid(marks, (2, 2)).tolist() == [[2, -1], [-1, 0]]
    assert (marks_on_grid(np.full((4, 6), -1, np.int32), (2, 3)) == -1).all()
    np.testing.assert_array_equal(marks_on_grid(marks, (4, 6)), marks)


def test_arrays_and_what_does_not_fit(cars) -> None:
    marks = strokes((1, slice(72, 76), slice(30, 50)))
    result = segment(cars, scribbles=marks)
    assert result.n_clusters > 1
    assert result.names == ()
    for bad in (marks[:-1], np.full_like(marks, -1)):
        with pytest.raises(PixelClusterError, match="scribbles have shape"):
            segment(cars, scribbles=bad)
    marks[0, 0] = 10**8
    with pytest.raises(PixelClusterError, match="marks cluster 100000000, but ids go from 0 to 255"):
        segment(cars, scribbles=marks)
    with pytest.raises(PixelClusterError, match="quick model"):
        segment(cars, scribbles=marks, mode="exact")
