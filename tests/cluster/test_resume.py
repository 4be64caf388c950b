"""A clustering that is stopped after any step and resumed passes through the states of one that is not."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pixelcluster import clock
from pixelcluster.cluster import run as fit_run
from pixelcluster.cluster.fit import ImageFit
from pixelcluster.cluster.model import ImageModel
from pixelcluster.cluster.run import fit_images
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.cluster.to_tensor import from_array
from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.resuming.snapshots import Snapshots, find, read_newest
from pixelcluster.stopping import Interrupted, StopSignals
from pixelcluster.torture.repeat import Watched, digest
from tests.cluster.conftest import SIDE, planted

CPU = torch.device("cpu")
IMAGES = from_array(planted(36)[0], SIDE)
KNOWN = torch.where(torch.arange(36) < 6, torch.arange(36) % 3, -1)
RUNS: dict[str, dict[str, Any]] = {
    "graph": {"iterations": 20},
    "restarts": {"start": "random", "restarts": 2, "iterations": 12},
    "pruning": {"n_clusters": "auto", "max_clusters": 5, "iterations": 12},
    "shared": {"start": "random", "chains": "shared", "iterations": 12},
}


def settings(**changes: object) -> ImageSettings:
    small = {"n_clusters": 3, "side": SIDE, "generator_side": 8, "n_factors": 2, "batch_size": 8}
    return ImageSettings.model_validate({**small, "student_epochs": 2, **changes})


def fit(name: str, snapshots: Snapshots | None = None, **options: Any) -> ImageModel:
    given = {"images": IMAGES, "settings": settings(**RUNS[name]), "seed": 3, "known": None} | options
    return fit_images(given.pop("images"), given.pop("settings"), device=CPU, snapshots=snapshots, **given)


def everything(model: ImageModel) -> str:
    parts = (model.generator, model.recognition, model.student)
    return digest(
        [[part.state_dict() for part in parts], model.probabilities, model.latents, model.objective]
    )


def stopped(folder: Path, name: str = "graph", at: int = 3, **options: Any) -> None:
    with pytest.raises(Interrupted):
        fit(name, Watched(folder, stop_at=at), **options)


@pytest.mark.parametrize("name", RUNS)
def test_resumed_at_random_steps_every_state_and_the_model_are_the_same(name: str, tmp_path: Path) -> None:
    whole = Watched(tmp_path / "whole")
    expected = everything(fit(name, whole))
    assert everything(fit(name)) == expected  # saving changes nothing
    for stop_at in random.Random(name).sample(range(1, max(whole.seen)), 2):
        folder = tmp_path / str(stop_at)
        stopped(folder, name, stop_at)
        torch.manual_seed(stop_at)  # the global stream is not what was drawn from
        resumed = Watched(folder, read_newest(folder))
        assert everything(fit(name, resumed)) == expected, stop_at
        assert {step: own for step, own in whole.seen.items() if step >= stop_at} == resumed.seen


def test_progress_numbers_the_steps_as_checkpoints_do() -> None:
    states: list[dict[str, Any]] = []
    quick = settings(start="random", restarts=2, iterations=40, student_epochs=4)
    fit("graph", settings=quick, progress=states.append)
    fits = [(state["start"], state["starts"], state["step"]) for state in states if "step" in state]
    assert fits == [(1, 2, 20), (1, 2, 40), (2, 2, 60), (2, 2, 80)]
    assert states[3]["seconds_left"] == 0
    assert states[3]["left_of"] == "the fit"


def test_a_signal_while_the_student_learns_ends_the_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = everything(fit("graph"))
    snapshots = Snapshots(tmp_path / "c", every=1e9, caller={}, command="cluster")
    monkeypatch.setattr(fit_run, "fit_student", lambda *a, **k: signal.raise_signal(signal.SIGTERM))
    with StopSignals() as snapshots.stop, pytest.raises(Interrupted) as caught:
        fit("graph", snapshots)
    assert caught.value.exit_code == 143
    assert str(caught.value) == (
        f"stopped, saved at step 20; go on with: pixelcluster cluster --resume {tmp_path}"
    )
    monkeypatch.undo()
    resumed = Watched(tmp_path / "c", read_newest(tmp_path / "c"))
    assert everything(fit("graph", resumed)) == expected
    assert [*resumed.seen] == [20]  # the fit itself is not done again


def test_a_start_by_the_network_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Network:
        def __init__(self, n_clusters: int, **options: object) -> None:
            made.append(n_clusters)

        def fit(self, pixels: object) -> Network:
            return self

        def predict(self, pixels: np.ndarray) -> np.ndarray:
            return np.arange(len(pixels)) % 3

    monkeypatch.setattr(fit_run, "VariationalClustering", Network)
    options = {"settings": settings(start="network", iterations=8)}
    stopped(tmp_path, at=1, **options)
    fit("graph", Watched(tmp_path, read_newest(tmp_path)), **options)
    assert made == [3]


def test_what_was_left_of_the_time_is_left_after_a_resume(tmp_path: Path) -> None:
    stopped(tmp_path, deadline=clock.now() + 1000)
    state = read_newest(tmp_path)
    assert 900 < state["seconds_left"][0] < 1000
    over = state | {"seconds_left": [-1.0, -1.0]}
    late = Watched(tmp_path, over)
    fit("graph", late)
    assert [*late.seen] == [3]
    fit("graph", again := Watched(tmp_path, over), deadline=clock.now() + 1000)
    assert max(again.seen) == 20


def test_the_time_of_the_student_stays_its_own_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chains have 480 of 600 seconds: stopped at 400, they go on for 80 and not for 160."""
    time, ends = [0.0], []
    monkeypatch.setattr(clock, "now", lambda: time[0])
    run, visit = ImageFit.run, ImageFit._visit

    def timed(self: ImageFit, *arguments: Any) -> None:
        visit(self, *arguments)
        time[0] += 100.0

    def watched(self: ImageFit, *, deadline: float, **options: Any) -> None:
        ends.append(deadline)
        run(self, deadline=deadline, **options)

    monkeypatch.setattr(ImageFit, "_visit", timed)
    monkeypatch.setattr(ImageFit, "run", watched)
    stopped(tmp_path, at=4, deadline=600.0)
    state = read_newest(tmp_path)
    assert state["seconds_left"] == [200.0, 80.0]
    time[0] = 5000.0
    fit("graph", Watched(tmp_path, state))
    time[0] = 9000.0
    fit("graph", Watched(tmp_path, state), deadline=9300.0)
    fit("graph", settings=settings(iterations=2, student_epochs=0), deadline=9900.0)
    assert ends == pytest.approx([480, 5080, 9000 + 0.8 * 300, 9900])
    with pytest.raises(PixelClusterError, match="not one of this run and version"):
        fit("graph", Watched(tmp_path, state | {"seconds_left": 200.0}))  # as earlier versions saved it


def test_other_images_settings_seeds_or_labels_are_refused(tmp_path: Path) -> None:
    stopped(tmp_path, known=KNOWN)

    def resume(**options: object) -> None:
        fit("graph", Watched(tmp_path, read_newest(tmp_path)), **({"known": KNOWN} | options))

    changed = IMAGES.clone()
    changed[2, 0, 0, 0] += 1
    with pytest.raises(PixelClusterError, match="image 3 of 36 is not the one"):
        resume(images=changed)
    with pytest.raises(PixelClusterError, match="36 images, 35 are there"):
        resume(images=IMAGES[:35], known=KNOWN[:35])
    with pytest.raises(PixelClusterError, match="other settings"):
        resume(settings=settings(iterations=21))
    with pytest.raises(PixelClusterError, match="another seed"):
        resume(seed=4)
    with pytest.raises(PixelClusterError, match="other known labels"):
        resume(known=KNOWN.roll(1))


@pytest.mark.parametrize(
    "change",
    [
        lambda fit: fit.pop("batches"),
        lambda fit: fit.update(labels=fit["labels"][1:]),
        lambda fit: fit["labels"].fill_(7),
        lambda fit: fit["generator"].popitem(),
        lambda fit: fit.update(random=fit["random"][1:]),
    ],
)
def test_a_state_that_does_not_fit_ends_in_a_line(change: Any, tmp_path: Path) -> None:
    stopped(tmp_path)
    state = read_newest(tmp_path)
    change(state["starts"]["fit"])
    with pytest.raises(PixelClusterError, match="not one of this run and version"):
        fit("graph", Watched(tmp_path, state))


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    stopped(tmp_path)
    (good,) = find(tmp_path)
    (tmp_path / "step-000000009.safetensors").write_bytes(good.read_bytes()[:-9])
    with pytest.warns(PixelClusterWarning, match="no checkpoint that can be read"):
        assert read_newest(tmp_path)["step"] == 3
