from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.naming import real_paths
from pixelcluster.render.palette import categorical
from pixelcluster.render.report import MAX_SIDE, Album, Page, check_report, versions, write_report
from pixelcluster.segmenting.runs.jobs import Outcome
from pixelcluster.segmenting.segmentation import ClusterRow

HOSTILE = '<script>alert(1)</script>"onload=x&amp;.png'
VOID = {"meta", "img", "input"}


class Reader(HTMLParser):
    """Collects tags and texts, and fails where tags are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def decoded(uri: str) -> Image.Image:
    head, _, data = uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(data)))


def page_of(image: np.ndarray, labels: np.ndarray, k: int, entropy: np.ndarray | None = None) -> Page:
    album = Album()
    album.add(Path("x"), image, labels, categorical(k), entropy)
    return album.pages[Path("x")]


def outcome(name: str, **more: object) -> Outcome:
    rows = (ClusterRow(0, 3, 0.75, "#102030", "<b>sky</b>"), ClusterRow(1, 0, 0.0, ""))
    return Outcome(Path(name), table=rows, seconds=1.234, **more)  # type: ignore[arg-type]


def written(folder: Path, outcomes: list[Outcome], album: Album) -> Reader:
    write_report(folder / "r.html", outcomes, album.pages, {"model": HOSTILE, "seed": 7})
    return Reader((folder / "r.html").read_text(encoding="utf-8"))


def test_pictures_are_small_and_show_what_they_should() -> None:
    image = np.zeros((10, 4000, 3), np.float32)
    image[:, :2000] = (0.2, 0.4, 0.6)
    labels = (np.arange(4000) >= 2000).astype(np.int32)[None].repeat(10, 0)
    entropy = labels * np.float32(np.log(2) / 2)
    page = page_of(image, labels, 2, entropy)
    assert (page.width, page.height) == (MAX_SIDE, 2)
    before, after = (np.asarray(decoded(uri).convert("RGB")) for uri in (page.before, page.after))
    assert before.shape == after.shape == (2, MAX_SIDE, 3)
    np.testing.assert_allclose(before[0, 10], (51, 102, 153), atol=3)
    np.testing.assert_allclose(after[0, -10], categorical(2)[1] * 0.5, atol=3)  # black, half tinted
    assert page.entropy is not None
    grey = np.asarray(decoded(page.entropy))
    np.testing.assert_allclose(grey[0, [10, -10]], (0, 127.5), atol=3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (1801, 1799)])
def test_any_shape(shape: tuple[int, int]) -> None:
    page = page_of(
        np.ones((*shape, 3), np.float32), np.zeros(shape, np.int32), 1, np.zeros(shape, np.float32)
    )
    assert 1 <= min(page.width, page.height) <= max(page.width, page.height) <= MAX_SIDE
    assert decoded(page.after).size == decoded(str(page.entropy)).size == (page.width, page.height)


def test_an_album_has_a_last_page(quadrants: np.ndarray) -> None:
    album = Album(limit=2)
    for name in "abc":
        album.add(Path(name), quadrants, np.zeros((40, 60), np.int32), categorical(1))
    assert list(album.pages) == [Path("a"), Path("b")]


def test_every_kind_of_input_is_listed(tmp_path: Path, quadrants: np.ndarray) -> None:
    album = Album()
    album.add(Path("a.png"), quadrants, np.zeros((40, 60), np.int32), categorical(2))
    page = written(
        tmp_path,
        [
            outcome("a.png", info={"mode": "exact", "stack": "rgb"}, warnings=("fewer <i>",)),
            outcome("late.png"),
            outcome("old.png", skipped=True),
            Outcome(Path("bad.png"), error="bad.png: 0 bytes"),
        ],
        album,
    )
    text = "\n".join(page.texts)
    for words in (
        "4 inputs: 1 shown below, 2 without pictures, 1 failed.", "bad.png: 0 bytes", "late.png", "fewer <i>",
        "skipped: its outputs existed", "75 %", "#102030", "1 absent from this picture", "in 1.23 s",
    ):  # fmt: skip
        assert words in text
    assert "mode exact" in text
    assert "stack rgb" in text
    assert versions()["pixelcluster"] in page.texts
    assert text.count("late.png") == 1


def test_names_are_text_whatever_they_hold(tmp_path: Path, quadrants: np.ndarray) -> None:
    album = Album()
    bytes_name = "\udcff\u202e\n.png"  # undecodable byte, right-to-left mark, line break
    for name in (HOSTILE, bytes_name):
        album.add(Path(name), quadrants, np.zeros((40, 60), np.int32), categorical(2))
    page = written(
        tmp_path,
        [outcome(HOSTILE), outcome(bytes_name), Outcome(Path("x"), error=f"\udcff {HOSTILE}")],
        album,
    )
    assert page.texts.count(HOSTILE) == 2  # heading and setting
    assert f"\\udcff {HOSTILE}" in page.texts
    assert "<b>sky</b>" in page.texts
    assert r"\udcff\u202e\n.png" in page.texts
    assert len(page.all("script")) == 1
    assert not page.all("b")


def test_the_page_is_self_contained_and_has_sliders(tmp_path: Path, quadrants: np.ndarray) -> None:
    album = Album()
    for name in "ab":
        album.add(Path(name), quadrants, np.zeros((40, 60), np.int32), categorical(1), quadrants[..., 0] * 0)
    page = written(tmp_path, [outcome("a"), outcome("b")], album)
    assert len(page.all("img")) == 6
    for _, attributes in page.tags:
        assert str(attributes.get("src", "data:")).startswith("data:")
        assert not {"href", "srcset", "action", "onclick"} & attributes.keys()
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert not any(words in text for words in ("://", '"//', "url(", "@import", "fetch"))
    assert "default-src 'none'" in text
    sliders = [tag for tag in page.all("input") if tag["class"] == "slider"]
    assert [tag["type"] for tag in sliders] == ["range", "range"]
    assert all(tag["aria-label"] for tag in sliders)


def test_a_report_replaces_nothing_unasked(tmp_path: Path) -> None:
    target = tmp_path / "new" / "r.html"
    check_report(target, [])
    target.write_text("mine")
    for path, sources, words in (
        (target, [], "--overwrite"),
        (tmp_path / "r.png", [], ".html"),
        (target, real_paths([target]), "is an input"),
        (target / "r.html", [], "a file is in its place"),
    ):
        with pytest.raises(PixelClusterError, match=words):
            check_report(path, sources)
    with pytest.raises(PixelClusterError, match="--overwrite"):
        write_report(target, [], {}, {})
    assert target.read_text() == "mine"
    write_report(target, [], {}, {}, overwrite=True)
    assert "0 inputs" in target.read_text()
    assert [path.name for path in target.parent.iterdir()] == ["r.html"]
