"""What must not get in, and that the server outlives it."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.web.conftest import ADDRESS, Page, png


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is huge and holds nearly nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")


def animation() -> bytes:
    frames = [Image.new("L", (8, 8), value) for value in (0, 99)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"GIF89a", "image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
        (b"../../etc/passwd", "not an image"),
        (b"{}", "not an image"),
        (png(np.zeros((30, 30, 3)))[:-40], "truncated"),
        (bomb(30_000, 30_000), "larger than the cap of 0.1 megapixels"),
        (bomb(2**31 - 1, 2**31 - 1), "image"),
        (bomb(0, 5), "image"),
        (animation(), "2 frames"),
    ],
)
def test_uploads_that_are_no_pictures(page: Page, body: bytes, words: str) -> None:
    page.error(page.client.post("/api/pictures", content=body), 400, words)


def test_bodies_are_capped_while_they_arrive(page: Page) -> None:
    limit = 8 * 100_000 + 1_000_000
    page.error(page.client.post("/api/pictures", content=bytes(limit + 1)), 413, "1.8 MB")
    sent = 0

    def endless() -> Any:
        nonlocal sent
        while sent < 50_000_000:
            sent += 100_000
            yield bytes(100_000)

    page.error(page.client.post("/api/pictures", content=endless()), 413, "1.8 MB")
    lying = {"Content-Length": "99999999999999999999999"}
    page.error(page.client.post("/api/pictures", content=b"x", headers=lying), 413, "limit")
    picture = page.open(np.zeros((4, 5, 3)))
    page.error(page.client.post(f"{picture}/runs", content=bytes(40_000_001)), 413, "40.0 MB")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"Host": "evil.example"}),
        ("GET", "/", {"Host": "evil.example:8765"}),
        ("GET", "/", {"Host": "127.0.0.1.evil.example"}),
        ("GET", "/api/about", {"Host": "localhost@evil.example"}),
        ("GET", "/", {"Host": ""}),
        ("POST", "/api/pictures", {"Origin": "http://evil.example"}),
        ("POST", "/api/pictures", {"Origin": "null"}),
        ("POST", "/api/sample", {"Origin": "http://127.0.0.1:9999"}),
        ("POST", "/api/sample", {"Origin": "https://127.0.0.1:8765"}),
        ("POST", "/api/sample", {"Sec-Fetch-Site": "cross-site"}),
        ("GET", "/api/about", {"Sec-Fetch-Site": "same-site"}),
        ("DELETE", "/api/jobs/x", {"Origin": "http://evil.example"}),
    ],
)
def test_other_hosts_and_sites_are_refused(
    page: Page, method: str, path: str, headers: dict[str, str]
) -> None:
    page.error(page.client.request(method, path, headers=headers), 403, "")


def test_the_page_itself_is_not_refused(page: Page) -> None:
    own = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}
    assert page.client.post("/api/pictures", content=png(np.zeros((4, 5, 3))), headers=own).status_code == 201
    assert page.client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200  # a link
    assert page.client.get("/", headers={"Host": "LOCALHOST:1234"}).status_code == 200  # a tunnel
    assert page.client.get("/").headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/%2e%2e/app.py", "/static//etc/passwd",
        "/static/%2fetc%2fpasswd", "/static/..\\app.py", "/static/%00", "/static/", "/static",
        "/api/pictures/..%2f..%2fetc%2fpasswd", "/api/pictures/../../../etc/passwd",
        "/api/pictures/x/results/y/files/..%2f..%2fapp.py", "/api/jobs/..%2f..", "/etc/passwd",
        "/.git/config",
    ],
)  # fmt: skip
def test_no_file_of_the_machine_is_read(page: Page, path: str) -> None:
    answer = page.client.get(path, follow_redirects=False)
    assert answer.status_code in (400, 404), path
    assert "root:" not in answer.text
    assert "import" not in answer.text


def test_what_is_not_there_and_what_is_not_meant(page: Page) -> None:
    for path in (
        "/api/pictures/x",
        "/api/jobs/x",
        "/api/pictures/x/results/y",
        "/api/pictures/x/results/y/labels",
    ):
        page.error(page.client.get(path), 404, "no such")
    page.error(page.client.delete("/api/jobs/x"), 404, "no such")
    page.error(page.client.put("/api/pictures", content=b"x"), 405, "")
    picture = page.open(np.zeros((4, 5, 3)))
    page.error(page.client.get(f"{picture}/results/x"), 404, "no such result")
    job = page.start(picture, k=1)
    page.error(page.client.get(f"{job}?after=-1"), 400, "number")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"k": 0}, "k is 0"),
        ({"k": 10**30}, "k"),
        ({"k": 65}, "less than or equal to 64"),
        ({"k": "5"}, "integer"),
        ({"k": 2.5}, "integer"),
        ({"k": True}, "integer"),
        ({"depth": 3}, "depth"),
        ({"mode": "exact"}, "--model"),
        ({"mode": "../x"}, "mode"),
        ({"result": "x"}, "no longer there"),
        ([], "an object"),
        ({"scribbles": {"height": 5, "width": 4, "runs": [[0, 1, 0]]}}, "4 x 5, the image is 5 x 4"),
        ({"scribbles": {"height": 4, "width": 5, "runs": []}}, "mark no pixel"),
        ({"scribbles": {"height": 4, "width": 5, "runs": [[0, 1, 64]]}}, "ids go from 0 to 63"),
        ({"scribbles": {"height": 4, "width": 5, "runs": [[0, 1, 999]]}}, "less than 256"),
        ({"scribbles": {"height": 4, "width": 5, "runs": [[0, 1, -1]]}}, "greater than"),
        ({"scribbles": {"height": 4, "width": 5, "runs": [[19, 2, 0]]}}, "leaves the image"),
        ({"scribbles": {"height": 4, "width": 5, "runs": [[10**25, 1, 0]]}}, "leaves the image"),
        ({"scribbles": {"height": 4, "width": 5, "runs": [[3, 3, 0], [5, 1, 1]]}}, "overlaps"),
        ({"scribbles": {"height": 4, "width": 5, "runs": [[3, 0, 0]]}}, "greater than"),
        ({"scribbles": {"height": 4, "width": 5, "runs": [[3, 1]]}}, "required"),
        ({"scribbles": {"height": 10**9, "width": 10**9, "runs": [[0, 1, 0]]}}, "the image is"),
    ],
)
def test_runs_that_make_no_sense(page: Page, asked: object, words: str) -> None:
    picture = page.open(np.zeros((4, 5, 3)))
    page.error(page.client.post(f"{picture}/runs", json=asked), 400, words)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"k": NaN}', b'{"k": 1}x'])
def test_what_is_no_json(page: Page, body: bytes) -> None:
    picture = page.open(np.zeros((4, 5, 3)))
    page.error(page.client.post(f"{picture}/runs", content=body), 400, "request")


def test_more_classes_than_clusters_fail_in_one_line(page: Page, noisy: np.ndarray) -> None:
    picture = page.open(noisy)
    strokes = {"height": 40, "width": 60, "runs": [[0, 9, 0], [100, 9, 1]]}
    state = page.wait(page.start(picture, k=1, scribbles=strokes))
    assert state["state"] == "failed"
    assert "2 classes" in state["error"]
    assert page.run(picture, k=2)


def test_a_surprise_in_a_job_leaves_the_server_alive(
    page: Page, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = page.open(np.zeros((4, 5, 3)))

    def fall(*_: object, **__: object) -> None:
        raise KeyError(os.fspath(Path("secret")))

    with monkeypatch.context() as patch:
        patch.setattr("pixelcluster.web.runner.segment", fall)
        state = page.wait(page.start(picture, k=1))
    assert state["error"] == "unexpected KeyError; see the terminal"
    assert "secret" in capsys.readouterr().err
    assert page.run(picture, k=1)


def test_only_the_last_pictures_and_results_are_kept(serve: Callable[..., Page]) -> None:
    page = serve(max_pixels=100)
    pictures = [page.open(np.zeros((10, 8, 3))) for _ in range(3)]  # 240 pixels where 200 are kept
    page.error(page.client.get(pictures[0]), 404, "no such picture")
    assert page.client.get(pictures[1]).status_code == 200
    results = [page.run(pictures[1], k=1) for _ in range(5)]
    page.error(page.client.get(results[0]), 404, "no such result")
    assert page.client.get(results[1]).status_code == 200
    for _ in range(8):
        page.open(np.zeros((2, 2, 3)))
    page.error(page.client.get(pictures[1]), 404, "no such picture")
