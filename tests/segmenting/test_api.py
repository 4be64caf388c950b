from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import pixelcluster
from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.segmenting.api import segment
from pixelcluster.segmenting.colours import count_colours


def test_the_function_stays_a_function_whatever_is_imported() -> None:
    program = "\n".join(
        [
            "import pixelcluster.segmenting.api, pixelcluster.segmenting.runs.batch",
            "import pixelcluster",
            "assert callable(pixelcluster.segment)",
            "from pixelcluster import segment",
            "assert segment is pixelcluster.segment is pixelcluster.segmenting.api.segment",
        ]
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_public_names() -> None:
    assert "segment" in dir(pixelcluster)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = pixelcluster.nothing_like_it


@pytest.mark.usefixtures("fake_single")
def test_result_holds_what_was_asked_for(quadrants: np.ndarray) -> None:
    result = segment(quadrants, 4, seed=5)
    assert result.n_clusters == 4
    assert result.probabilities is None
    assert "seed" not in result.info  # nothing is random
    result = segment(quadrants, 4, probabilities=True)
    assert result.probabilities is not None
    assert result.entropy is not None
    assert segment(quadrants).n_clusters == 4


@pytest.mark.usefixtures("fake_single")
def test_more_clusters_than_colours_warns_and_returns_fewer(quadrants: np.ndarray) -> None:
    with pytest.warns(
        PixelClusterWarning, match="asked for 9 clusters, but the image has 4 distinct colours"
    ):
        assert segment(quadrants, 9).n_clusters == 4


def test_one_colour_needs_no_method() -> None:
    flat = np.full((5, 7), 0.5)
    with pytest.warns(PixelClusterWarning, match="1 distinct colour:"):
        result = segment(flat, 3, probabilities=True)
    assert result.n_clusters == 1
    assert result.probabilities is not None
    assert (result.probabilities == 1).all()
    assert segment(flat).n_clusters == 1
    assert segment(np.zeros((1, 1)), 1).label_map.tolist() == [[0]]


def test_arguments_that_are_none() -> None:
    image = np.zeros((2, 2))
    for k in (0, 2.5):
        with pytest.raises(PixelClusterError, match=f"k is {k}"):
            segment(image, k)  # type: ignore[arg-type]
    with pytest.raises(PixelClusterError, match="mode is 'nonsense'; wanted fast or exact"):
        segment(image, 2, mode="nonsense")  # type: ignore[arg-type]
    with pytest.raises(PixelClusterError, match="scribbles are float64; wanted whole numbers"):
        segment(image, scribbles=np.zeros((2, 2)))  # type: ignore[arg-type]


def test_auto_is_the_word_of_the_command_line(quadrants: np.ndarray) -> None:
    np.testing.assert_array_equal(segment(quadrants, "auto").label_map, segment(quadrants).label_map)


def test_a_stack_fits_the_whole_model_so_mode_fast_has_none() -> None:
    with pytest.raises(PixelClusterError, match="mode fast without a trained model has no stack, got 'rgb'"):
        segment(np.zeros((2, 2)), 2, stack="rgb", mode="fast")
    assert segment(np.zeros((2, 2)), 1, stack="rgb").info["mode"] == "exact"


def test_count_colours_is_exact_below_the_bound(rng: np.random.Generator) -> None:
    few = rng.random((5, 3), dtype=np.float32)[rng.integers(0, 5, (300, 200))]
    assert count_colours(few, at_least=6) == 5
    assert count_colours(few, at_least=5) == 5
    rare = np.zeros((500, 500, 3), dtype=np.float32)
    rare[499, 499] = 1
    assert count_colours(rare, at_least=2) == 2
