"""What people make of a result while a run that began with it waits or goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelcluster.config import ClusterSettings
from pixelcluster.segmenting.watch import Glimpse
from pixelcluster.training.checkpoint import save_model
from pixelcluster.web.jobs import Work
from pixelcluster.web.requests import RunRequest, Strokes
from pixelcluster.web.runner import Runner
from pixelcluster.web.store import Picture, Result, Store
from tests.deploy.models import untrained

CENTRES = [(10, 15), (10, 45), (30, 15), (30, 45)]


class Desk:
    """A picture, and what is done to it without a page."""

    def __init__(self, image: np.ndarray, model: Path | None = None) -> None:
        self.store = Store(1, image.size)
        self.runner = Runner(self.store, model, seed=0, device="cpu")
        self.picture: Picture = self.store.add(image.astype(np.float32))

    def plan(
        self, after: str | None = None, *, runs: list[tuple[int, int, int]] | None = None, k: int | None
    ) -> Work:
        strokes = None if runs is None else Strokes(height=40, width=60, runs=runs)
        return self.runner.plan(self.picture, RunRequest(k=k, scribbles=strokes, result=after))

    def change(self, result: str, change: Callable[[Result], Result]) -> None:
        self.store.change(self.picture, result, change(self.picture.results[result]))


def still(glimpse: Glimpse) -> None:
    """Watches without a word."""


@pytest.mark.parametrize("while_it_runs", [False, True])
def test_names_and_merges_given_meanwhile_are_kept(noisy: np.ndarray, while_it_runs: bool) -> None:
    desk = Desk(noisy)
    first = desk.plan(k=4)(still)
    labels = desk.picture.results[first].shown.label_map
    a, b, c, d = (int(labels[place]) for place in CENTRES)
    desk.change(first, lambda result: result.merged([c, d]))
    taken, free = min(c, d), max(c, d)
    work = desk.plan(first, k=None, runs=[(10 * 60 + 5, 15, free)])  # a new class, as the page numbers it
    asked = False

    def change(glimpse: Glimpse) -> None:
        nonlocal asked
        if not asked:
            asked = True
            desk.change(first, lambda result: result.named(taken, "sea").named(a, "sand").merged([b, taken]))

    if not while_it_runs:
        change(Glimpse("queued", 0.0))
    result = desk.picture.results[work(change)]
    both = min(b, taken)
    assert [int(result.shown.label_map[place]) for place in CENTRES] == [free, both, both, both]
    assert {i: name for i, name in enumerate(result.shown.names) if name} == {a: "sand", both: "sea"}
    assert free not in result.settings.merged


def test_a_merge_taken_back_meanwhile_names_and_joins_no_new_class(noisy: np.ndarray) -> None:
    desk = Desk(noisy)
    first = desk.plan(k=4)(still)
    desk.change(first, lambda result: result.named(2, "rock").merged([1, 2]))
    work = desk.plan(first, k=None, runs=[(0, 20, 2)])
    desk.change(first, lambda result: result.undone().merged([2, 3]))
    result = desk.picture.results[work(still)]
    assert (result.shown.label_map[0, :20] == 2).all()
    assert result.settings == ClusterSettings()


def test_a_result_that_is_gone_leaves_its_names(noisy: np.ndarray) -> None:
    desk = Desk(noisy)
    first = desk.plan(k=4)(still)
    desk.change(first, lambda result: result.named(2, "rock"))
    work = desk.plan(first, k=None, runs=[(0, 20, 0)])
    desk.picture.results.clear()
    assert desk.picture.results[work(still)].settings.names == {2: "rock"}


def test_clusters_of_a_model_are_called_what_they_are_called_now(noisy: np.ndarray, tmp_path: Path) -> None:
    model = untrained()
    model.stack.fit([torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(0))])
    save_model(model, tmp_path / "model")
    desk = Desk(noisy, tmp_path / "model")
    first = desk.plan(k=None)(still)
    work = desk.plan(first, k=None, runs=[(0, 300, 0), (1000, 300, 2)])
    desk.change(first, lambda result: result.named(0, "Himmel").merged([1, 2]))
    result = desk.picture.results[work(still)]
    assert result.settings.names == {0: "Himmel", 1: "Wände"}
    assert result.settings.merged == {2: 1}
    assert (result.shown.label_map.ravel()[1000:1300] == 1).all()
