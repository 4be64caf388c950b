"""A run that is stopped after any step and resumed passes through the states of one that is not."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.resuming.snapshots import Snapshots, find, read_newest, remove
from pixelcluster.resuming.state_file import read_state
from pixelcluster.stopping import Interrupted
from pixelcluster.torture.repeat import Watched, digest
from pixelcluster.training.fit import Fit
from pixelcluster.training.model import TrainedModel
from pixelcluster.training.refusals import NotFiniteError
from pixelcluster.training.run import fit_model
from tests.synthetic import settings, textures

CPU = torch.device("cpu")
STUDENT = {"enabled": True, "pretrained": False, "steps": 4, "views": 2, "batch_size": 2}
RUNS = {
    "restarts": settings(training={"restarts": 2, "epochs": 3, "batch_size": 2, "start": "random"}),
    "pruning": settings(n_clusters="auto", training={"max_clusters": 6, "epochs": 5, "batch_size": 3}),
    "annealed": settings(
        generator={"sigma": 0.4, "sigma_schedule": "annealed", "noise": "isotropic", "latent_stride": None},
        training={"epochs": 4, "batch_size": 2},
    ),
    "student": settings(student=STUDENT, training={"epochs": 2, "batch_size": 2}),
}


def train(config, snapshots: Snapshots | None, n_images: int = 4) -> TrainedModel:
    return fit_model(textures(n_images, side=40)[0], config, seed=3, device=CPU, snapshots=snapshots)


@pytest.mark.parametrize("name", RUNS)
def test_resumed_at_random_steps_every_state_is_the_same(name: str, tmp_path: Path) -> None:
    whole = Watched(tmp_path / "whole")
    train(RUNS[name], whole)
    last = max(whole.seen)
    for stop_at in random.Random(name).sample(range(1, last + 1), 2):
        folder = tmp_path / str(stop_at)
        with pytest.raises(Interrupted) as caught:
            train(RUNS[name], Watched(folder, stop_at=stop_at))
        assert caught.value.exit_code == 143
        resumed = Watched(folder, state=read_newest(folder))
        train(RUNS[name], resumed)
        assert {*resumed.seen, stop_at} == {step for step in whole.seen if step >= stop_at}
        assert all(whole.seen[step] == own for step, own in resumed.seen.items()), stop_at


def test_a_run_that_is_resumed_often_ends_in_the_same_model(tmp_path: Path) -> None:
    expected = train(RUNS["pruning"], None)
    state, step = None, 0
    for _ in range(5):
        snapshots = Watched(tmp_path, state, step + 4)
        try:
            model = train(RUNS["pruning"], snapshots)
            break
        except Interrupted:
            state = read_newest(tmp_path)
            step = state["step"]
    assert model.history == expected.history
    for name, value in expected.generator.state_dict().items():
        assert torch.equal(value, model.generator.state_dict()[name]), name


def test_without_a_signal_the_clock_alone_decides_and_a_few_are_kept(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "c", every=0, caller={"folder": "x"})
    train(RUNS["restarts"], snapshots)
    names = [path.name for path in find(tmp_path / "c")]
    assert len(names) == 3
    assert names == sorted(names, reverse=True)
    assert read_newest(tmp_path / "c")["caller"] == {"folder": "x"}
    never = Snapshots(tmp_path / "d", every=1e9, caller={})
    train(RUNS["restarts"], never)
    assert find(tmp_path / "d") == []
    remove(tmp_path / "c")
    assert not (tmp_path / "c").exists()
    with pytest.raises(PixelClusterError, match="no checkpoint"):
        read_newest(tmp_path / "c")


def stopped(folder: Path, at: int = 3) -> None:
    with pytest.raises(Interrupted):
        train(RUNS["restarts"], Watched(folder, stop_at=at))


def test_checkpoints_are_ordered_by_number_and_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    stopped(tmp_path)
    (good,) = find(tmp_path)
    content = good.read_bytes()
    (tmp_path / "step-10000000000.safetensors").write_bytes(content[: len(content) // 2])
    (tmp_path / "step-999.safetensors").write_bytes(b"")
    (tmp_path / "step-last.safetensors").write_bytes(content)
    assert [path.name for path in find(tmp_path)][:2] == [
        "step-10000000000.safetensors",
        "step-999.safetensors",
    ]
    with pytest.warns(PixelClusterWarning, match="no checkpoint that can be read"):
        assert read_newest(tmp_path)["step"] == 3


def test_temporaries_of_a_killed_writer_are_cleared(tmp_path: Path) -> None:
    (tmp_path / ".pixelcluster-0123456789ab.tmp").write_bytes(b"half")
    stopped(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000003.safetensors"]


def test_other_images_settings_or_seeds_are_refused(tmp_path: Path) -> None:
    stopped(tmp_path)

    def resume(config=RUNS["restarts"], images=None, seed: int = 3) -> None:
        images = textures(4, side=40)[0] if images is None else images
        fit_model(images, config, seed=seed, device=CPU, snapshots=Watched(tmp_path, read_newest(tmp_path)))

    with pytest.raises(PixelClusterError, match="4 images, 3 are there"):
        resume(images=textures(3, side=40)[0])
    changed = textures(4, side=40)[0]
    changed[2] = changed[2].copy()
    changed[2][0, 0] = 0.25
    with pytest.raises(PixelClusterError, match="image 3 of 4 is not the one"):
        resume(images=changed)
    with pytest.raises(PixelClusterError, match="other settings"):
        resume(config=RUNS["annealed"])
    with pytest.raises(PixelClusterError, match="another seed"):
        resume(seed=4)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("step"),
        lambda s: s["starts"]["fit"]["chains"].pop("z/0"),
        lambda s: s["starts"]["fit"]["chains"].update({"z/0": torch.zeros(9, 1, 1)}),
        lambda s: s["starts"]["fit"]["chains"]["label_map/1"].fill_(7),
        lambda s: s["starts"]["fit"]["prior"].update({"proportions": torch.full((4,), 0.25)}),
        lambda s: s["starts"]["fit"]["generator"].pop("heads"),
        lambda s: s["starts"]["fit"]["optimiser"]["moments"][0].update({"exp_avg": torch.zeros(3)}),
        lambda s: s["starts"]["fit"]["optimiser"]["moments"][0].pop("exp_avg_sq"),
        lambda s: s["starts"]["fit"]["optimiser"]["moments"].pop(),
        lambda s: s.update({"stack": {"mean": torch.zeros(3)}}),
        lambda s: s.update({"starts": 5}),
        lambda s: s.update({"images": 5}),
        lambda s: s["config"].update({"n_clusters": -1}),
    ],
)
def test_a_state_that_does_not_fit_is_one_line(tmp_path: Path, change) -> None:
    stopped(tmp_path)
    state = read_newest(tmp_path)
    change(state)
    with pytest.raises(PixelClusterError) as caught:
        train(RUNS["restarts"], Watched(tmp_path, state))
    assert "\n" not in str(caught.value)


def test_a_run_that_is_not_finite_is_saved_beside_the_last_good_state(tmp_path: Path) -> None:
    class Breaking(Watched):
        def after_step(self, step, describe) -> None:
            super().after_step(step, describe)
            self.save(step, describe())
            if step == 4:
                Fit._learn, self.real = (lambda *arguments: False), Fit._learn

    snapshots = Breaking(tmp_path)
    try:
        with pytest.raises(NotFiniteError, match="visits to images gave values that are not finite"):
            train(RUNS["restarts"], snapshots)
    finally:
        Fit._learn = snapshots.real
    newest, *older = find(tmp_path)
    assert int(newest.stem[5:]) == 1 + int(older[0].stem[5:])
    good = {**read_state(older[0]), "seconds_left": None}
    del good["caller"]
    assert digest(good) == snapshots.seen[good["step"]]
    assert read_state(newest)["starts"]["fit"]["refusals"]["images"]


def test_another_number_of_threads_is_told(tmp_path: Path) -> None:
    stopped(tmp_path)
    state = read_newest(tmp_path)
    state["made_with"]["threads"] += 1
    with pytest.warns(PixelClusterWarning, match="not bit for bit"):
        train(RUNS["restarts"], Watched(tmp_path, state))


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    for metadata in (None, {"format": "other"}, {"format": "pixelcluster run 1"}):
        save_file({"a": torch.zeros(2)}, tmp_path / "x", metadata=metadata)
        with pytest.raises(PixelClusterError, match="no checkpoint that can be read"):
            read_state(tmp_path / "x")
    bad = {"format": "pixelcluster run 1", "state": '{"a": {"$tensor": "b"}}'}
    save_file({"a": torch.zeros(2)}, tmp_path / "x", metadata=bad)
    with pytest.raises(PixelClusterError, match="no checkpoint that can be read"):
        read_state(tmp_path / "x")
    save_file({"a": torch.zeros(2)}, tmp_path / "x", metadata={**bad, "state": "[" * 100_000})
    with pytest.raises(PixelClusterError, match="no checkpoint that can be read"):
        read_state(tmp_path / "x")


def test_a_checkpoint_holds_what_the_next_step_needs(tmp_path: Path) -> None:
    stopped(tmp_path, at=5)
    state = read_newest(tmp_path)
    fit = state["starts"]["fit"]
    assert {name.split("/")[0] for name in fit["chains"]} == {"z", "direction", "label_map", "steps"}
    assert fit["place"]["batch"] == 1  # of two an epoch
    assert fit["place"]["counts"].shape == (8, 3)
    assert np.isfinite(fit["place"]["log_joint"])
    assert {"exp_avg", "exp_avg_sq", "step"} <= set(fit["optimiser"]["moments"][0])
    assert state["starts"]["best"] is None
