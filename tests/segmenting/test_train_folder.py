from __future__ import annotations

import itertools
import json
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pixelcluster.config import RunConfig
from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.io.read import read_image
from pixelcluster.resuming.snapshots import Snapshots
from pixelcluster.segmenting.segmentation import Segmentation
from pixelcluster.segmenting.train_folder import (
    Keeping,
    Training,
    draw_samples,
    is_finished,
    resume_folder,
    train_folder,
)
from pixelcluster.stopping import Interrupted, StopSignals


class FakeModel:
    """Keeps the calls of the estimator; predicts halves, its student the first quarter wrong."""

    during: Callable[[Snapshots], None] | None = None
    student: object = None
    mode = "exact"
    failures_: tuple[tuple[Path, str], ...] = ()

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.model_ = SimpleNamespace(student=FakeModel.student, history=[{"student_loss": 1.5}])
        self.asked: list[str | None] = []

    def fit(
        self,
        folder: Path,
        *,
        minutes: float | None,
        progress: Callable[..., None] | None,
        snapshots: Snapshots,
    ) -> FakeModel:
        self.fitted, self.snapshots = (folder, minutes), snapshots
        warnings.warn("left out x.png: damaged", PixelClusterWarning, stacklevel=2)
        if FakeModel.during is not None:
            FakeModel.during(snapshots)
        if progress is not None:
            progress({"step": 1})
        return self

    def predict(self, image: Path | np.ndarray, mode: str | None = None) -> Segmentation:
        self.asked.append(mode)
        used, picture = mode or FakeModel.mode, read_image(image)
        halves = (np.arange(picture.shape[1]) * 2 // picture.shape[1])[None].repeat(len(picture), 0)
        if used == "fast":
            halves[:, : picture.shape[1] // 4] = 1
        return Segmentation.build(picture, halves, 2, info={"mode": used})

    def save(self, folder: Path) -> None:
        for name in ("config.yaml", "model.safetensors"):
            (folder / name).touch()


@pytest.fixture(autouse=True)
def fake_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeModel, "during", None)
    module = ModuleType("pixelcluster.segmenting.estimator")
    module.PixelCluster = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pixelcluster.segmenting.estimator", module)


def test_choices_reach_the_model_and_samples_are_drawn(photo: Callable[[str], Path], tmp_path: Path) -> None:
    for name in ("in/a.png", "in/b.png", "in/c.png"):
        photo(name)
    (tmp_path / "in" / "broken.png").write_text("no")
    states: list[object] = []
    model = train_folder(
        tmp_path / "in",
        tmp_path / "out",
        Training(n_clusters=2, minutes=3, seed=9, max_pixels=50),
        progress=states.append,
    )
    assert model.options["n_clusters"] == 2
    assert (model.options["seed"], model.options["max_pixels"]) == (9, 50)
    assert model.fitted == (tmp_path / "in", 3)
    assert states[0] == {"step": 1}
    assert states[1:] == [{"phase": "drawing samples", "share": done / 4} for done in range(4)]
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == ["config.yaml", "model.safetensors", "samples.png"]
    assert model.asked == [None] * 4  # broken.png is one of them; nothing to compare with
    with Image.open(tmp_path / "out" / "samples.png") as sheet:
        assert sheet.width == 1600
        assert sheet.info["Software"] == "pixelcluster"


def test_refusals_come_before_the_work(photo: Callable[[str], Path], tmp_path: Path) -> None:
    image = photo("in/a.png")
    (tmp_path / "empty").mkdir()
    for folder, output, word in [
        (tmp_path / "in", tmp_path / "in", "--overwrite"),
        (tmp_path / "in", image, "is a file"),
        (tmp_path / "gone", tmp_path / "out", "no folder"),
        (tmp_path / "empty", tmp_path / "out", "no image"),
    ]:
        with pytest.raises(PixelClusterError, match=word):
            train_folder(folder, output, Training())
    assert not (tmp_path / "out").exists()


def test_checkpoints_are_there_during_a_run_and_gone_after_it(
    photo: Callable[[str], Path], tmp_path: Path
) -> None:
    photo("in/a.png")
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    old = tmp_path / "out" / "checkpoints" / "step-000000900.safetensors"
    old.touch()

    def during(snapshots: Snapshots) -> None:
        assert not old.exists()  # a new run does not go on from another's
        assert snapshots.every == 90
        snapshots.save(7, {"step": 7})
        assert [path.name for path in snapshots.folder.iterdir()] == ["step-000000007.safetensors"]

    FakeModel.during = during
    train_folder(tmp_path / "in", tmp_path / "out", Training(), overwrite=True, keeping=Keeping(1.5))
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_resuming_takes_everything_from_the_checkpoint(photo: Callable[[str], Path], tmp_path: Path) -> None:
    photo("in/a.png")
    caller = {"folder": str(tmp_path / "in"), "device": "cpu", "max_pixels": 99}
    state = {"step": 7, "seed": 5, "config": RunConfig(n_clusters=4).model_dump(mode="json")}
    Snapshots(tmp_path / "out" / "checkpoints", every=1, caller=caller).save(7, state)
    model = resume_folder(tmp_path / "out", minutes=2)
    assert model.options == {"config": RunConfig(n_clusters=4), "seed": 5, "device": "cpu", "max_pixels": 99}
    assert model.snapshots.caller["max_pixels"] == 99
    assert model.fitted == (tmp_path / "in", 2)
    assert model.snapshots.state["step"] == 7
    assert (tmp_path / "out" / "samples.png").exists()
    assert is_finished(tmp_path / "out")
    with pytest.raises(PixelClusterError, match="out: holds no checkpoint to resume"):
        resume_folder(tmp_path / "out")


def test_what_is_no_finished_run(tmp_path: Path) -> None:
    assert not is_finished(tmp_path / "gone")
    with pytest.raises(PixelClusterError, match="gone: there is no such folder; --resume wants the -o DIR"):
        resume_folder(tmp_path / "gone")
    FakeModel().save(tmp_path)
    assert is_finished(tmp_path)
    Snapshots(tmp_path / "checkpoints", every=1, caller={}).save(7, {})
    assert not is_finished(tmp_path)  # another run was begun in the folder of an older model


def test_a_run_that_is_lost_early_is_not_taken_for_the_one_before(
    photo: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("in/a.png")
    train_folder(tmp_path / "in", tmp_path / "out", Training())
    assert is_finished(tmp_path / "out")

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FakeModel, "fit", killed)
        train_folder(tmp_path / "in", tmp_path / "out", Training(), overwrite=True)
    assert not is_finished(tmp_path / "out")
    train_folder(tmp_path / "in", tmp_path / "out", Training(), overwrite=True)
    assert is_finished(tmp_path / "out")


def test_samples_stand_in_the_order_of_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        Image.new("RGB", (4, 4), (50 * i, 0, 0)).save(path)
    seen = []
    monkeypatch.setattr(
        "pixelcluster.segmenting.train_folder.contact_sheet", lambda pairs, **_: seen.extend(pairs)
    )
    draw_samples(FakeModel(), paths)
    assert [pair[0].getpixel((0, 0))[0] for pair in seen] == [0, 50, 100, 150, 200]


@pytest.mark.parametrize(("mode", "other"), [("exact", "fast"), ("fast", "exact")])
def test_samples_are_in_the_models_mode_and_the_student_is_compared_on_them(
    photo: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, other: str
) -> None:
    for name in ("in/a.png", "in/b.png"):
        photo(name)
    monkeypatch.setattr(FakeModel, "student", object())
    monkeypatch.setattr(FakeModel, "mode", mode)
    model = train_folder(tmp_path / "in", tmp_path / "out", Training())
    assert model.asked == [None, other] * 2
    told = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert told == model.model_.history == [{"student_loss": 1.5, "student_agreement": 0.75}]


def test_samples_take_a_tenth_of_the_time_at_most(
    photo: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcdef":
        photo(f"in/{name}.png")
    seconds = itertools.count()
    monkeypatch.setattr("pixelcluster.clock.now", lambda: next(seconds))
    model = train_folder(tmp_path / "in", tmp_path / "out", Training(minutes=0.5))
    assert len(model.asked) == 4  # 3 s from 0 on: the images that end at 1, 2 and 3 s, and one more
    assert (tmp_path / "out" / "samples.png").exists()


def test_a_model_that_moved_and_a_folder_that_is_gone(photo: Callable[[str], Path], tmp_path: Path) -> None:
    photo("moved/a.png")
    caller = {"folder": str(tmp_path / "gone"), "device": "cpu", "max_pixels": 99}
    state = {"step": 7, "seed": 5, "config": {}}
    Snapshots(tmp_path / "out" / "checkpoints", every=1, caller=caller).save(7, state)
    with pytest.raises(PixelClusterError, match="gone: is no folder"):
        resume_folder(tmp_path / "out")
    assert resume_folder(tmp_path / "out", folder=tmp_path / "moved").fitted[0] == tmp_path / "moved"


def test_a_signal_after_the_last_step_still_writes_the_model(
    photo: Callable[[str], Path], tmp_path: Path
) -> None:
    photo("in/a.png")

    def during(snapshots: Snapshots) -> None:
        snapshots.after_step(1, dict)
        signal.raise_signal(signal.SIGTERM)

    FakeModel.during = during
    with StopSignals() as stop, pytest.raises(Interrupted, match="the model is in") as caught:
        train_folder(tmp_path / "in", tmp_path / "out", Training(), keeping=Keeping(stop=stop))
    assert caught.value.exit_code == 143
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["config.yaml", "model.safetensors"]


def test_a_run_that_was_begun_is_pointed_at(photo: Callable[[str], Path], tmp_path: Path) -> None:
    photo("in/a.png")
    Snapshots(tmp_path / "out" / "checkpoints", every=1, caller={}).save(7, {})
    with pytest.raises(PixelClusterError, match="--resume"):
        train_folder(tmp_path / "in", tmp_path / "out", Training())


@pytest.mark.parametrize("there", [False, True])
def test_stopped_before_the_first_step_no_empty_folder_is_left(
    photo: Callable[[str], Path], tmp_path: Path, there: bool
) -> None:
    photo("in/a.png")
    output = tmp_path / "models" / "out"
    if there:
        output.mkdir(parents=True)
    FakeModel.during = lambda snapshots: signal.raise_signal(signal.SIGINT)
    with StopSignals() as stop, pytest.raises(Interrupted) as caught:
        train_folder(tmp_path / "in", output, Training(), keeping=Keeping(stop=stop))
    assert str(caught.value) == "stopped before anything was saved; start again"
    assert output.exists() == (tmp_path / "models").exists() == there


def test_a_resumed_run_that_is_stopped_at_once_names_the_step_it_has(
    photo: Callable[[str], Path], tmp_path: Path
) -> None:
    photo("in/a.png")
    caller = {"folder": str(tmp_path / "in"), "device": "cpu", "max_pixels": 99}
    state = {"step": 7, "seed": 5, "config": {}}
    Snapshots(tmp_path / "out" / "checkpoints", every=1, caller=caller).save(7, state)
    FakeModel.during = lambda snapshots: signal.raise_signal(signal.SIGINT)
    with (
        StopSignals() as stop,
        pytest.raises(Interrupted, match="saved at step 7; go on with: pixelcluster train"),
    ):
        resume_folder(tmp_path / "out", keeping=Keeping(stop=stop))


def test_a_signal_while_samples_are_drawn_says_where_the_model_is(
    photo: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo("in/a.png")
    monkeypatch.setattr(FakeModel, "predict", lambda *a, **k: signal.raise_signal(signal.SIGINT))
    with StopSignals() as stop, pytest.raises(Interrupted, match="the model is in"):
        train_folder(tmp_path / "in", tmp_path / "out", Training(), keeping=Keeping(stop=stop))
