"""Every endpoint, as the page uses it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelcluster import __version__
from pixelcluster.io.label_map import palette_with_ids, read_label_map
from pixelcluster.render.palette import categorical
from tests.web.conftest import Page

QUADRANTS = [(slice(0, 20), slice(0, 30)), (slice(0, 20), slice(30, 60)),
             (slice(20, 40), slice(0, 30)), (slice(20, 40), slice(30, 60))]  # fmt: skip


def test_the_page_and_its_files_ask_nothing_of_the_network(page: Page) -> None:
    html = page.client.get("/")
    assert html.headers["content-type"].startswith("text/html")
    static = Path(__file__).parents[2] / "pixelcluster" / "web" / "static"
    for file in static.iterdir():
        text = page.client.get(f"/static/{file.name}").text
        assert text == file.read_text(encoding="utf-8")
        foreign = text.replace("http://www.w3.org/2000/svg", "")
        assert not any(words in foreign for words in ("http:", "https:", "@import", "url(", "eval(")), file
    policy = html.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in html.text  # the policy would drop it
    assert " onclick=" not in html.text


def test_about(page: Page) -> None:
    facts = page.client.get("/api/about").json()
    assert facts["version"] == __version__
    assert facts["model"] is None
    assert facts["max_pixels"] == 100_000


def test_a_picture_is_segmented_and_seen_while_it_runs(page: Page, noisy: np.ndarray) -> None:
    picture = page.open(noisy)
    shown = Image.open(io.BytesIO(page.client.get(picture).content))
    assert shown.size == (60, 40)
    np.testing.assert_allclose(np.asarray(shown)[10, 10], (255, 0, 0), atol=20)

    job = page.start(picture, k=4)
    state = page.wait(job)
    assert (state["stage"], state["share"]) == ("done", 1.0)
    frames = state["frames"]
    assert [frame["number"] for frame in frames] == list(range(len(frames)))
    assert frames[0]["objective"] == 0.0
    assert frames[-1]["clusters"] == 4
    later = page.client.get(f"{job}?after={len(frames) - 1}").json()["frames"]
    assert later == frames[-1:]

    result = f"{picture}/results/{state['result']}"
    labels = page.labels(result)
    assert sorted(int(np.bincount(labels[part].ravel()).argmax()) for part in QUADRANTS) == [0, 1, 2, 3]
    table = page.client.get(result).json()
    assert sum(row["pixels"] for row in table["rows"]) == 40 * 60
    for row in table["rows"]:
        mean = noisy[labels == row["cluster"]].mean(0) * 255
        found = [int(row["mean_colour"][i : i + 2], 16) for i in (1, 3, 5)]
        np.testing.assert_allclose(found, mean, atol=1.5)
    assert table["new_class"] == 4
    assert not table["can_undo"]


def test_auto_and_one_colour(page: Page) -> None:
    flat = np.full((40, 60, 3), 0.4)
    table = page.client.get(page.run(page.open(flat), k=None)).json()
    assert [row["share"] for row in table["rows"]] == [1.0]
    table = page.client.get(page.run(page.open(flat), k=9)).json()
    assert table["notes"] == ["asked for 9 clusters, but the image has 1 distinct colour"]


def test_what_reading_a_picture_warns_of_is_on_the_page(page: Page) -> None:
    half = np.full((40, 60, 4), 0.4)
    half[:, :30, 3], half[:, 30:, 3] = 0, 1
    picture = page.open(half)
    for _ in range(2):  # every result says so
        notes = page.client.get(page.run(picture, k=9)).json()["notes"]
        assert [note[:25] for note in notes] == ["image: transparent pixels", "asked for 9 clusters, but"]
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 5), 4000, np.uint16)).save(buffer, "PNG")
    answer = page.client.post("/api/pictures", content=buffer.getvalue())
    notes = page.client.get(page.run(f"/api/pictures/{answer.json()['id']}", k=1)).json()["notes"]
    assert ["reach 4000 of 65535" in note for note in notes] == [True]


def test_the_sample_is_the_one_of_the_readme(page: Page, serve: Callable[..., Page]) -> None:
    body = (Path(__file__).parents[2] / "assets" / "samples" / "china.jpg").read_bytes()
    assert page.client.get("/api/sample").content == body
    answer = serve(max_pixels=640 * 427).client.post("/api/sample")
    assert (answer.json()["height"], answer.json()["width"]) == (427, 640)
    page.error(page.client.post("/api/sample"), 400, "over the cap")


def test_strokes_are_kept_and_the_other_ids_stay(page: Page, noisy: np.ndarray) -> None:
    picture = page.open(noisy)
    result = page.run(picture, k=4)
    before = page.labels(result)
    ids = [int(before[part][10, 15]) for part in QUADRANTS]
    page.client.post(f"{result}/name", json={"cluster": ids[2], "name": "blue"})
    # A stroke of a new class in the first quadrant, row 10, columns 5 to 19.
    strokes = {"height": 40, "width": 60, "runs": [[10 * 60 + 5, 15, 4]]}
    again = page.run(picture, k=4, scribbles=strokes, result=result.rpartition("/")[2])
    after = page.labels(again)
    assert (after[10, 5:20] == 4).all()
    assert after[5, 25] == 4  # what was one region follows
    assert [int(after[part][10, 15]) for part in QUADRANTS[1:]] == ids[1:]
    names = {row["cluster"]: row["name"] for row in page.client.get(again).json()["rows"]}
    assert names[ids[2]] == "blue"


def test_names_and_merges_are_undone_one_by_one(page: Page, noisy: np.ndarray) -> None:
    result = page.run(page.open(noisy), k=4)
    found = page.labels(result)
    assert page.client.post(f"{result}/name", json={"cluster": 3, "name": "wet road"}).status_code == 200
    table = page.client.post(f"{result}/merge", json={"clusters": [1, 3]}).json()
    assert {row["cluster"]: row["name"] for row in table["rows"]} == {0: "", 1: "wet road", 2: ""}
    assert table["merged"] == {"3": 1}
    np.testing.assert_array_equal(page.labels(result), np.where(found == 3, 1, found))
    table = page.client.post(f"{result}/undo").json()
    assert len(table["rows"]) == 4
    table = page.client.post(f"{result}/undo").json()
    assert not any(row["name"] for row in table["rows"])
    page.error(page.client.post(f"{result}/undo"), 400, "nothing to undo")
    np.testing.assert_array_equal(page.labels(result), found)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("merge", {"clusters": [1]}, "at least two"),
        ("merge", {"clusters": [1, 4]}, "clusters 0 to 3, not 4"),
        ("merge", {"clusters": [-1, 1]}, "greater than or equal to 0"),
        ("merge", {"clusters": "1,2"}, "array"),
        ("name", {"cluster": 9, "name": "x"}, "clusters 0 to 3"),
        ("name", {"cluster": 0, "name": "a\nb"}, "names"),
        ("name", {"cluster": 0, "name": "x" * 1000}, "names"),
        ("name", {"cluster": 0}, "Field required"),
        ("name", {"cluster": "0", "name": "x"}, "integer"),
    ],
)
def test_changes_that_make_no_sense(
    page: Page, quadrants: np.ndarray, path: str, body: object, words: str
) -> None:
    result = page.run(page.open(quadrants), k=4)
    page.error(page.client.post(f"{result}/{path}", json=body), 400, words)
    assert not page.client.get(result).json()["can_undo"]


def test_a_name_is_taken_once(page: Page, quadrants: np.ndarray) -> None:
    result = page.run(page.open(quadrants), k=4)
    for cluster, status in ((0, 200), (1, 400)):
        answer = page.client.post(f"{result}/name", json={"cluster": cluster, "name": "sky"})
        assert answer.status_code == status


def test_downloads_are_the_files_of_the_command_line(page: Page, noisy: np.ndarray, tmp_path: Path) -> None:
    result = page.run(page.open(noisy), k=4)
    page.client.post(f"{result}/merge", json={"clusters": [0, 3]})
    page.client.post(f"{result}/name", json={"cluster": 0, "name": "both"})
    labels = page.labels(result)
    for name in ("labels.png", "labels.npz", "overlay.png", "masks.zip"):
        answer = page.client.get(f"{result}/files/{name}", params={"opacity": "0.25"})
        assert answer.headers["content-disposition"] == "attachment"
        (tmp_path / name).write_bytes(answer.content)
    np.testing.assert_array_equal(read_label_map(tmp_path / "labels.png"), labels)
    with Image.open(tmp_path / "labels.png") as indexed:
        assert indexed.mode == "P"
        colours = np.array(indexed.getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(colours[:4], palette_with_ids(categorical(4)))
    with np.load(tmp_path / "labels.npz") as arrays:
        np.testing.assert_array_equal(arrays["label_map"], labels)
        assert arrays["names"].tolist() == ["both", "", "", ""]
    with Image.open(tmp_path / "overlay.png") as overlay:
        assert overlay.width >= 60
        assert overlay.info["Software"] == "pixelcluster"  # so that a folder of photographs goes past it
    with zipfile.ZipFile(tmp_path / "masks.zip") as archive:
        assert sorted(archive.namelist()) == [f"mask_cluster{i}.png" for i in ("0-both", 1, 2)]
        mask = Image.open(io.BytesIO(archive.read("mask_cluster0-both.png")))
        assert mask.mode == "1"
        np.testing.assert_array_equal(np.asarray(mask), labels == 0)
    for query in ("2", "-1", "nan", "x"):
        page.error(page.client.get(f"{result}/files/overlay.png?opacity={query}"), 400, "opacity")
    page.error(page.client.get(f"{result}/files/secret.txt"), 404, "labels.png")


def test_every_result_the_page_can_go_back_to_is_there(page: Page, quadrants: np.ndarray) -> None:
    picture = page.open(quadrants)

    def run(after: str | None, k: int) -> str:
        return page.run(picture, k=k, result=after and after.rsplit("/", 1)[1])

    first = run(None, 1)
    second = run(first, 2)
    third = run(second, 3)
    fourth = run(third, 4)
    fifth = run(third, 4)  # after an undo, which leaves the fourth behind
    for result in (first, second, third, fifth):
        assert page.client.get(result).status_code == 200
    page.error(page.client.get(fourth), 404, "no such result")
    page.client.post(f"{second}/merge", json={"clusters": [0, 1]})
    run(second, 4)
    assert len(page.client.get(second).json()["rows"]) == 1
    page.error(page.client.get(third), 404, "no such result")


@pytest.mark.parametrize("shape", [(4, 24_000), (1500, 1000)])
def test_the_view_of_a_large_picture_is_as_large_as_the_page_draws(
    serve: Callable[..., Page], shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pixelcluster.web.files._LARGEST_SIDE", 6000)  # 65500 of JPEG takes long to send
    page = serve(max_pixels=2_000_000)
    answer = page.client.get(page.open(np.full((*shape, 3), 0.5)))
    assert answer.status_code == 200
    width, height = Image.open(io.BytesIO(answer.content)).size
    assert max(width, height) <= 6000
    assert width * height <= 1_001_000
    assert width / height == pytest.approx(shape[1] / shape[0], rel=0.01)


def test_an_uncompressed_16_bit_picture_of_the_largest_size_is_taken(serve: Callable[..., Page]) -> None:
    page = serve(max_pixels=1_200_000)
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((1000, 1200), np.uint16)).save(buffer, "TIFF")
    body = buffer.getvalue() + bytes(2 * 2 * 1_200_000)  # as long as one of three channels
    assert page.client.post("/api/pictures", content=body).status_code == 201
