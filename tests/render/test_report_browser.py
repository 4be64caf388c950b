"""The report as a person sees it: in a real browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pixelcluster.render.palette import categorical
from pixelcluster.render.report import Album, write_report
from pixelcluster.segmenting.runs.jobs import Outcome
from pixelcluster.segmenting.segmentation import ClusterRow
from tests.browsers import browser_page


def test_the_slider_moves_by_mouse_and_by_keys(tmp_path: Path, quadrants: np.ndarray) -> None:
    album = Album()
    image = np.repeat(np.repeat(quadrants, 10, 0), 10, 1)
    album.add(Path("a.png"), image, np.ones(image.shape[:2], np.int32), categorical(2), image[..., 0] * 0)
    table = (ClusterRow(0, 0, 0.0, ""), ClusterRow(1, 9, 1.0, "#102030"))
    write_report(tmp_path / "r.html", [Outcome(Path("a.png"), table=table)], album.pages, {"seed": 0})
    with browser_page(viewport={"width": 700, "height": 900}) as page:
        page.goto((tmp_path / "r.html").as_uri())
        slider = page.locator(".slider")
        box = page.locator(".compare").bounding_box()
        assert box is not None
        assert (box["width"], box["height"]) == (600, 400)

        def cut() -> float:
            """Where the overlay begins, as a share of the picture."""
            clip = page.evaluate("getComputedStyle(document.querySelector('.after')).clipPath")
            return float(clip.split()[-1].rstrip("%)")) / 100

        assert cut() == pytest.approx(0.5)
        page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.9 * box["height"])
        assert cut() == pytest.approx(0.25, abs=0.01)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
        page.mouse.up()
        assert cut() == pytest.approx(0.8, abs=0.01)
        slider.press("End")
        assert cut() == 1.0
        assert page.locator("th", has_text="name").count() == 0  # none has one
        assert page.evaluate("document.documentElement.scrollWidth") <= 700
