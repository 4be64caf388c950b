"""The page as a person uses it: by clicks, in a real browser, against the real command."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("uvicorn", reason="the page needs the extra web")

from pixelcluster.io.label_map import read_label_file
from tests.browsers import browser_page
from tests.serving import running

if TYPE_CHECKING:
    from playwright.sync_api import Route

SAMPLE = Path(__file__).parents[2] / "assets" / "samples" / "china.jpg"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running() as started:
        yield started


def test_from_the_upload_to_the_download(address: str, tmp_path: Path) -> None:
    hostile = tmp_path / "..%2f<b>my photo.jpg"
    with Image.open(SAMPLE) as sample:
        sample.resize((320, 214)).save(hostile, quality=95)
    with browser_page(viewport={"width": 1360, "height": 850}) as page:
        page.goto(address)

        def grey_at(x: float, y: float) -> bool:
            """Whether the place is dimmed, as everything but the highlighted cluster is."""
            r, g, b = page.evaluate(
                """([x, y]) => {
                  const c = document.getElementById("view");
                  const one = c.getContext("2d").getImageData(x * c.width, y * c.height, 1, 1);
                  return [...one.data].slice(0, 3);
                }""",
                [x, y],
            )
            return bool(r == g == b)

        broken = tmp_path / "<i>broken.png"
        broken.write_bytes(b"GIF89a")
        page.set_input_files("#file", broken)
        page.wait_for_selector("#toast", state="visible")
        assert page.inner_text("#toast").startswith("<i>broken.png: ")

        page.set_input_files("#file", hostile)
        page.wait_for_selector("#layers", state="visible")
        assert page.inner_text("#file-name") == hostile.name
        assert page.inner_text("#file-size").split()[::2] == ["320", "214"]

        assert page.input_value("#k") == "5"
        page.click("#run")
        page.wait_for_selector("#live", state="visible")
        page.wait_for_selector("#chart", state="visible")
        page.wait_for_selector("#clusters", state="visible", timeout=30_000)
        rows = page.locator("#rows tr")
        assert rows.count() == 5
        shares = page.locator(".share").all_inner_texts()
        assert abs(sum(float(text.rstrip(" %")) for text in shares) - 100) < 2

        # Hovering: the sky is cluster 0, the largest; the table and the picture point at each other.
        box = page.locator("#marks").bounding_box()
        assert box is not None

        def at(x: float, y: float) -> tuple[float, float]:
            return box["x"] + x * box["width"], box["y"] + y * box["height"]

        page.mouse.move(*at(0.7, 0.2))
        assert "hot" in (rows.nth(0).get_attribute("class") or "")
        assert page.inner_text("#tip").startswith("Cluster 0")
        assert grey_at(0.8, 0.9)
        assert not grey_at(0.7, 0.25)
        rows.nth(1).hover()
        assert grey_at(0.7, 0.25)
        assert not grey_at(0.8, 0.9)

        # A stroke of a new class over the lake, which was part of the sky.
        page.keyboard.press("b")
        page.click("#classes button[title='A new class']")
        page.mouse.move(*at(0.6, 0.72))
        page.mouse.down()
        page.mouse.move(*at(0.8, 0.72), steps=6)
        page.mouse.up()
        page.click("#rerun")
        page.wait_for_selector("#rows tr:nth-child(6)", timeout=30_000)

        page.fill("#rows tr[data-cluster='5'] input[type=text]", "lake")
        page.keyboard.press("Enter")
        page.wait_for_selector("#undo:enabled")
        page.check("#rows tr[data-cluster='1'] input[type=checkbox]")
        page.check("#rows tr[data-cluster='3'] input[type=checkbox]")
        page.click("text=Merge 2 clusters")
        page.wait_for_selector("#rows:not(:has(tr:nth-child(6)))")

        files = {}
        for name in ("labels.png", "overlay.png", "labels.npz", "masks.zip"):
            with page.expect_download() as download:
                page.click(f"[data-file='{name}']")
            files[name] = tmp_path / name
            download.value.save_as(files[name])
            assert download.value.suggested_filename == f"_2f_b_my photo_{name}"

        page.fill("#rows tr[data-cluster='0'] input[type=text]", "lake")  # taken
        page.keyboard.press("Enter")
        page.wait_for_selector("text=two clusters have one name")
        page.screenshot(path=tmp_path / "page.png")

    labels, _, names, _ = read_label_file(files["labels.png"])
    assert sorted(np.unique(labels)) == [0, 1, 2, 4, 5]
    assert (labels[int(0.72 * 214), int(0.6 * 320) : int(0.8 * 320)] == 5).all()
    assert names[5] == "lake"
    with np.load(files["labels.npz"]) as arrays:
        np.testing.assert_array_equal(arrays["label_map"], labels)
    with zipfile.ZipFile(files["masks.zip"]) as archive:
        assert len(archive.namelist()) == 5


def test_keys_alone_are_enough(address: str) -> None:
    with browser_page(viewport={"width": 1100, "height": 800}, reduced_motion="reduce") as page:
        page.goto(address)
        page.focus("#sample")
        page.keyboard.press("Enter")
        page.wait_for_selector("#run:enabled")
        page.focus("#k")
        page.keyboard.press("ArrowDown")
        page.focus("#run")
        page.keyboard.press("Space")
        page.wait_for_selector("#clusters", state="visible", timeout=30_000)
        assert page.locator("#rows tr").count() == 4
        page.focus("#marks")
        page.keyboard.press("ArrowUp")
        assert page.locator("#rows tr.hot").count() == 1
        page.keyboard.press("b")
        page.keyboard.press("ArrowLeft")
        assert page.locator("#rerun").is_disabled()
        page.keyboard.press("Space")
        assert page.locator("#rerun").is_enabled()

        page.focus("#rerun")
        page.keyboard.press("Enter")
        page.wait_for_selector("#cancel", state="visible")
        page.focus("#cancel")
        page.keyboard.press("Enter")
        page.wait_for_selector("#progress", state="hidden", timeout=30_000)
        assert page.locator("#rows tr").count() == 4
        assert page.locator("#undo").is_disabled()  # no second result


def test_a_file_may_be_opened_before_the_server_has_said_what_it_takes(address: str) -> None:
    with browser_page(viewport={"width": 1100, "height": 800}) as page:
        held: list[Route] = []
        page.route("**/api/about", lambda route: held.append(route))
        page.goto(address)
        page.set_input_files("#file", SAMPLE)
        page.wait_for_timeout(200)
        assert page.locator("#toast").is_hidden()
        held[0].continue_()
        page.wait_for_selector("#run:enabled")


def test_notes_name_the_file_and_stand_in_lines_of_their_own(address: str, tmp_path: Path) -> None:
    half = np.full((40, 60, 4), 255, np.uint8)
    half[:, :30] = 0
    Image.fromarray(half).save(tmp_path / "my $& file.png")
    with browser_page(viewport={"width": 1100, "height": 800}) as page:
        page.goto(address)
        page.set_input_files("#file", tmp_path / "my $& file.png")
        page.wait_for_selector("#run:enabled")
        page.click("#run")
        page.wait_for_selector("#notes", state="visible", timeout=30_000)
        lines = page.inner_text("#notes").split("\n")
    assert len(lines) == 2
    assert lines[0].startswith("my $& file.png: transparent pixels are laid over white")
    assert lines[1].startswith("asked for 5 clusters")


def test_a_step_back_that_fails_can_be_tried_again(address: str, tmp_path: Path) -> None:
    with Image.open(SAMPLE) as sample:
        sample.resize((120, 80)).save(tmp_path / "s.png")
    with browser_page(viewport={"width": 1100, "height": 800}) as page:
        page.goto(address)
        page.set_input_files("#file", tmp_path / "s.png")
        for k in (2, 3):
            page.wait_for_selector("#run:enabled")
            page.fill("#k", str(k))
            page.click("#run")
            page.wait_for_selector(f"#rows tr:nth-child({k}):last-child")
        page.route("**/labels", lambda route: route.fulfill(status=400, json={"error": "try again"}))
        page.click("#undo")
        page.wait_for_selector("#toast:has-text('try again')")
        page.unroute("**/labels")
        page.click("#undo:enabled")
        page.wait_for_selector("#rows tr:nth-child(2):last-child")
