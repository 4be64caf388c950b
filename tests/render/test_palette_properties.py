"""Palettes of any size and colours, through every file format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pixelcluster.errors import PixelClusterError
from pixelcluster.render.palette import PALETTES, categorical, make_palette, mean_colours
from pixelcluster.render.palette_file import palette_text, read_palette

quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
palettes = arrays(np.uint8, st.tuples(st.integers(1, 40), st.just(3)))


@quick
@given(palette=palettes, suffix=st.sampled_from(["json", "gpl", "txt"]))
def test_any_palette_comes_back(tmp_path: Path, palette: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"p.{suffix}"
    path.write_text(palette_text(palette, path.suffix))
    np.testing.assert_array_equal(read_palette(path), palette)


@quick
@given(content=st.binary(max_size=200), suffix=st.sampled_from(["json", "gpl", "txt"]))
def test_any_bytes_are_a_palette_or_one_line(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"p.{suffix}"
    path.write_bytes(content)
    try:
        palette = read_palette(path)
    except PixelClusterError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert palette.dtype == np.uint8
        assert palette.shape[1:] == (3,)


@quick
@given(st.text(alphabet='[]{}",0123456789abcdef# \n-.eE', max_size=80))
def test_any_json_is_a_palette_or_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    try:
        read_palette(tmp_path / "p.json")
    except PixelClusterError as error:
        assert "\n" not in str(error)  # noqa: PT017


@quick
@given(k=st.integers(1, 300), name=st.sampled_from(sorted(PALETTES)))
def test_every_palette_has_a_colour_for_each_cluster(k: int, name: str) -> None:
    labels = (np.arange(6 * 7) % k).reshape(6, 7)
    image = np.linspace(0, 1, 6 * 7 * 3, dtype=np.float32).reshape(6, 7, 3)
    colours = make_palette(name, k, image=image, label_map=labels)
    assert colours.shape == (k, 3)
    assert colours.dtype == np.uint8
    if k <= 256:
        assert len(np.unique(categorical(k), axis=0)) == k


@quick
@given(data=st.data(), k=st.integers(1, 9))
def test_mean_colours_are_those_of_numpy(data: st.DataObject, k: int) -> None:
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    labels = data.draw(arrays(np.int64, shape, elements=st.integers(0, k - 1)))
    image = data.draw(arrays(np.uint8, (*shape, 3))).astype(np.float32) / 255
    means = mean_colours(image, labels, k)
    for cluster in np.unique(labels):
        expected = image[labels == cluster].mean(0)
        if means.dtype == np.uint8:
            expected = expected * 255
        np.testing.assert_allclose(means[cluster], expected, atol=1 if means.dtype == np.uint8 else 1e-4)
