"""The figure's colours are the classes' whatever ids a method gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pixelcluster.data.labelled import LabelledImage
from pixelcluster.evaluation.qualitative import qualitative_figure, spread_over
from tools import qualitative as qualitative_tool


def items(count: int = 3) -> list[LabelledImage]:
    """Return images with two halves as classes and an unscored corner."""
    label = np.zeros((20, 20), np.uint8)
    label[:, 10:] = 1
    label[:4, :4] = 255
    image = np.full((20, 20, 3), 0.5, np.float32)
    return [LabelledImage(f"{index}", image, label, label != 255) for index in range(count)]


def test_swapped_ids_look_like_the_truth() -> None:
    """A method that is right up to its ids has the picture of the truth; a wrong one has not."""
    own = items()
    swapped = [np.where(item.label == 0, 1, 0) for item in own]
    flat = [np.zeros((20, 20), np.int64) for _ in own]
    sheet = np.asarray(qualitative_figure(own, {"right": swapped, "flat": flat}, 2, [0, 2]))
    image, right, wrong, truth = (sheet[18:178, start : start + 160] for start in (0, 164, 328, 492))
    assert sheet.shape == (18 + 2 * 164 - 4, 4 * 164 - 4, 3)
    assert (image == 128).all()
    assert np.array_equal(right, truth)
    assert not np.array_equal(wrong, truth)
    assert (truth[:30, :30] == 60).all()


def test_images_are_picked_evenly() -> None:
    """First and last are in, and no image twice."""
    assert spread_over(items(9), 3) == [0, 4, 8]
    assert spread_over(items(2), 6) == [0, 1]


@pytest.mark.parametrize(
    ("data", "methods", "words"),
    [
        (
            "bands={0}",
            "kmeans,nonsense",
            "unknown method 'nonsense'; choose from clustered-generator",
        ),
        ("digits", "kmeans", "digits has no label maps"),
        ("bands={0}", "kmeans", "no such folder"),
    ],
)
def test_the_tool_refuses_before_any_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str, methods: str, words: str
) -> None:
    """One line, without the minutes of the methods before the wrong one."""
    monkeypatch.setattr(qualitative_tool, "fit_per_pixel", pytest.fail)
    output = str(tmp_path / "out.png")
    result = CliRunner().invoke(
        qualitative_tool.main, ["--data", data.format(tmp_path), "--methods", methods, "-o", output]
    )
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
