"""The page of a trained model: its chains are seen, its ids and names stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.training.checkpoint import save_model
from pixelcluster.web.api import Settings
from pixelcluster.web.app import create_app
from tests.deploy.models import untrained
from tests.web.conftest import Page


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = untrained(merged={2: 1})
    model.stack.fit([torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0))])
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def page(serve: Callable[..., Page], folder: Path) -> Page:
    return serve(model=folder, device="cpu", max_pixels=100_000)


def test_the_page_knows_the_model_but_not_where_it_is(page: Page, folder: Path) -> None:
    answer = page.client.get("/api/about")
    facts = answer.json()["model"]
    assert facts["clusters"] == len(facts["palette"]) == 3
    assert facts["stack"] == "rgb"
    assert facts["student"]
    assert str(folder.parent) not in answer.text


def test_every_round_of_the_chains_is_seen(page: Page, noisy: np.ndarray) -> None:
    picture = page.open(noisy)
    state = page.wait(page.start(picture, mode="exact"))
    assert state["state"] == "done", state
    frames = state["frames"]
    assert len(frames) == untrained().config.sampler.inference_rounds
    assert {frame["stage"] for frame in frames} == {"chains"}
    assert frames[-1]["share"] == 1.0
    assert all(np.isfinite(frame["objective"]) for frame in frames)
    table = page.client.get(f"{picture}/results/{state['result']}").json()
    assert table["new_class"] is None  # the model has no place for one
    names = {row["cluster"]: row["name"] for row in table["rows"]}
    assert names.items() <= {0: "sky", 1: "Wände"}.items()  # and 2 was merged away
    assert page.wait(page.start(picture, mode="fast"))["frames"] == []


def test_strokes_names_and_merges_outlive_a_run(page: Page, noisy: np.ndarray, folder: Path) -> None:
    picture = page.open(noisy)
    config = (folder / "config.yaml").read_bytes()
    result = page.run(picture, mode="exact")
    page.client.post(f"{result}/name", json={"cluster": 0, "name": "Himmel"})
    strokes = {"height": 40, "width": 60, "runs": [[0, 300, 0], [2000, 300, 1]]}
    again = page.run(picture, scribbles=strokes, result=result.rpartition("/")[2])
    labels = page.labels(again).ravel()
    assert (labels[:300] == 0).all()
    assert (labels[2000:2300] == 1).all()
    assert page.client.get(again).json()["rows"][0]["name"] in ("Himmel", "Wände")
    answer = page.client.post(f"{again}/merge", json={"clusters": [0, 1]})
    page.error(answer, 400, "are named 'Himmel' and 'Wände'; clear one name first")
    page.client.post(f"{again}/name", json={"cluster": 1, "name": ""})
    assert len(page.client.post(f"{again}/merge", json={"clusters": [0, 1]}).json()["rows"]) == 1
    assert (folder / "config.yaml").read_bytes() == config  # the model itself is not touched


def test_what_a_model_cannot_do(page: Page, noisy: np.ndarray) -> None:
    picture = page.open(noisy)
    for asked, words in (
        ({"k": 3}, "fixes the number of clusters"),
        ({"scribbles": {"height": 40, "width": 60, "runs": [[0, 9, 3]]}}, "ids go from 0 to 2"),
    ):
        page.error(page.client.post(f"{picture}/runs", json=asked), 400, words)
    strokes = {"height": 40, "width": 60, "runs": [[0, 9, 0]]}
    state = page.wait(page.start(picture, mode="fast", scribbles=strokes))
    assert "scribbles need the chains" in state["error"]


def test_no_model_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError):
        create_app(Settings(model=tmp_path))
