from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="the page needs the extra web")
pytest.importorskip("uvicorn", reason="the page needs the extra web")

from starlette.testclient import TestClient

from pixelcluster.web.api import Settings
from pixelcluster.web.app import create_app

ADDRESS = "http://127.0.0.1:8765"


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((image * 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


class Page:
    """What the JavaScript does, in Python."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def open(self, image: np.ndarray) -> str:
        answer = self.client.post("/api/pictures", content=png(image))
        assert answer.status_code == 201, answer.text
        return f"/api/pictures/{answer.json()['id']}"

    def start(self, picture: str, **asked: Any) -> str:
        answer = self.client.post(f"{picture}/runs", json=asked)
        assert answer.status_code == 202, answer.text
        return f"/api/jobs/{answer.json()['id']}"

    def wait(self, job: str) -> dict[str, Any]:
        for _ in range(2000):
            state: dict[str, Any] = self.client.get(job).json()
            if state["state"] not in ("queued", "running"):
                return state
            time.sleep(0.01)
        raise AssertionError("the job does not end")

    def run(self, picture: str, **asked: Any) -> str:
        state = self.wait(self.start(picture, **asked))
        assert state["state"] == "done", state
        return f"{picture}/results/{state['result']}"

    def labels(self, result: str, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
        return np.frombuffer(self.client.get(f"{result}/labels").content, np.uint8).reshape(shape)

    def error(self, answer: Any, status: int, words: str) -> None:
        """Check that a refusal is one line of JSON, and that the server goes on."""
        assert answer.status_code == status, answer.text
        message = answer.json()["error"]
        assert words in message
        assert "\n" not in message
        assert "Traceback" not in message
        assert self.client.get("/api/about").status_code == 200


@pytest.fixture
def serve() -> Iterator[Callable[..., Page]]:
    clients: list[TestClient] = []

    def start(**settings: Any) -> Page:
        client = TestClient(create_app(Settings(**settings)), base_url=ADDRESS)
        client.__enter__()
        clients.append(client)
        return Page(client)

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def page(serve: Callable[..., Page]) -> Page:
    return serve(max_pixels=100_000)


@pytest.fixture
def noisy(quadrants: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(40, 60, 3): the four quadrants under a little noise, as no photograph is flat."""
    return (quadrants + rng.normal(0, 0.02, quadrants.shape)).clip(0, 1)
