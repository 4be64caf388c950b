"""Planted shapes are recovered, labels that are known stay, and runs repeat."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from pixelcluster import clock
from pixelcluster.cluster import fit as fit_module
from pixelcluster.cluster import run as fit_run
from pixelcluster.cluster.fit import ImageFit
from pixelcluster.cluster.joint import log_evidence, log_joint
from pixelcluster.cluster.model import infer_images
from pixelcluster.cluster.run import fit_images
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.cluster.to_tensor import from_array
from pixelcluster.errors import PixelClusterError
from tests.cluster.conftest import SIDE, planted

Shapes = tuple[NDArray[np.uint8], NDArray[np.int64]]
CPU = torch.device("cpu")


def test_graph_start_recovers_shapes_in_every_mode(shapes: Shapes, quick: ImageSettings) -> None:
    """The images of the fit, and new ones by each part of the model."""
    images = from_array(shapes[0], SIDE)
    model = fit_images(images, quick, seed=0, device=CPU)
    assert adjusted_rand_score(shapes[1], model.probabilities.argmax(1)) > 0.9
    fresh, wanted = planted(60, seed=1)
    for mode in ("exact", "generator", "fast"):
        probabilities, z = infer_images(model, from_array(fresh, SIDE), mode=mode, seed=0, device=CPU)
        assert z.shape == (60, model.generator.n_latent)
        torch.testing.assert_close(probabilities.sum(1), torch.ones(60))
        assert adjusted_rand_score(wanted, probabilities.argmax(1)) > 0.8, mode


def test_a_limited_time_has_room_for_every_phase(shapes: Shapes, quick: ImageSettings, monkeypatch) -> None:
    """The clock moves a second whenever it is looked at: a tenth of the iterations fit in."""
    now = iter(range(10_000))
    monkeypatch.setattr(clock, "now", lambda: float(next(now)))
    settings = quick.model_copy(update={"iterations": 300})
    model = fit_images(from_array(shapes[0], SIDE), settings, seed=0, device=CPU, deadline=100.0)
    assert next(now) < 150
    assert adjusted_rand_score(shapes[1], model.probabilities.argmax(1)) > 0.8
    assert model.student is not None
    late = fit_images(from_array(shapes[0], SIDE), settings, seed=0, device=CPU, deadline=0.0)
    assert late.student is None
    with pytest.raises(PixelClusterError, match="no student"):
        infer_images(late, from_array(shapes[0], SIDE), mode="fast", seed=0, device=CPU)


def test_phases_follow_the_clock(shapes: Shapes, quick: ImageSettings, monkeypatch) -> None:
    now = iter(range(10_000))
    monkeypatch.setattr(clock, "now", lambda: float(next(now)))
    settings = quick.model_copy(update={"iterations": 300})
    fit = ImageFit(from_array(shapes[0], SIDE), settings, 3, seed=0, device=CPU)
    fit.run(deadline=60.0)
    assert fit.iteration < 60
    assert 0.9 < fit.share <= 1


def test_labels_are_held_and_latents_wait_until_their_share(shapes: Shapes, quick: ImageSettings) -> None:
    changes = {"iterations": 10, "batch_size": 64, "latents_from": 0.25, "hold_until": 0.55}
    start = torch.arange(60) % 2  # three shapes: half of the labels have to move
    fit = ImageFit(
        from_array(shapes[0][:60], SIDE),
        quick.model_copy(update=changes),
        3,
        seed=0,
        device=CPU,
        labels=start,
    )
    names = ("templates", "latent_mean", "latent_scale")
    before = [getattr(fit.generator, name).detach().clone() for name in names]
    seen: list[tuple[bool, ...]] = []

    def look() -> None:
        now = [getattr(fit.generator, name) for name in names]
        moved = [not torch.equal(old, new) for old, new in zip(before, now, strict=True)]
        seen.append((*moved, not torch.equal(fit.labels, start)))

    fit.run(after=look)
    assert fit.iterations == 10
    wanted = [(True, share >= 0.25, share >= 0.25, share >= 0.55) for share in torch.arange(10) / 10]
    assert seen == wanted


def test_gibbs_judges_the_chains_where_langevin_left_them(
    shapes: Shapes, quick: ImageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chains start far from the mode, so that steps raise the joint of every image."""
    images, joints = from_array(shapes[0][:24], SIDE), []

    def spy(generator, x, z, stated, sigma):
        joints.append(log_joint(generator, x, None, sigma)(z))
        return log_evidence(generator, x, z, stated, sigma)

    monkeypatch.setattr(fit_module, "log_evidence", spy)
    for steps in (0, 20):
        settings = quick.model_copy(update={"langevin_steps": steps, "iterations": 1, "batch_size": 24})
        fit = ImageFit(images, settings, 3, seed=0, device=CPU, labels=torch.arange(24) % 3)
        with torch.no_grad():
            fit.recognition.head.bias.view(2, -1)[0] = 2.0
        fit.run()
    assert (joints[1] > joints[0] + 50).all()


def test_random_start_learns(shapes: Shapes, quick: ImageSettings) -> None:
    """Without any graph the objective rises and clusters agree with shapes far above chance."""
    settings = quick.model_copy(update={"start": "random", "iterations": 150, "student_epochs": 0})
    images = from_array(shapes[0], SIDE)
    fit = ImageFit(images, settings, 3, seed=1, device=CPU)
    trace: list[float] = []
    fit.run(progress=lambda state: trace.append(float(state["objective"])))  # type: ignore[arg-type]
    assert trace[-1] > trace[0]
    assert adjusted_rand_score(shapes[1], fit.labels) > 0.5


@pytest.mark.parametrize("chains", ["per_cluster", "shared"])
@pytest.mark.parametrize("generator", ["transform", "deconvolutional"])
def test_every_form_runs_and_repeats(
    shapes: Shapes, quick: ImageSettings, chains: str, generator: str
) -> None:
    """Same seed, same labels and parameters."""
    side = 28 if generator == "deconvolutional" else 8
    changes = {
        "chains": chains,
        "generator": generator,
        "generator_side": side,
        "iterations": 3,
        "start": "random",
        "batch_size": 8,
        "student_epochs": 0,
    }
    images = from_array(shapes[0][:24], SIDE)
    models = [fit_images(images, quick.model_copy(update=changes), seed=3, device=CPU) for _ in range(2)]
    assert torch.equal(models[0].probabilities, models[1].probabilities)
    assert torch.equal(models[0].latents, models[1].latents)


def test_known_labels_stay(shapes: Shapes, quick: ImageSettings) -> None:
    """Clusters take the numbers of the known labels, and known images keep theirs."""
    images = from_array(shapes[0], SIDE)
    known = torch.full((len(images),), -1)
    known[:9] = (torch.from_numpy(shapes[1][:9]) + 1) % 3
    model = fit_images(
        images, quick.model_copy(update={"student_epochs": 0}), seed=0, device=CPU, known=known
    )
    labels = model.probabilities.argmax(1)
    assert torch.equal(labels[:9], known[:9])
    assert (labels.numpy() == (shapes[1] + 1) % 3).mean() > 0.9


@pytest.mark.parametrize("start", ["graph", "random"])
def test_known_labels_stay_against_the_evidence(shapes: Shapes, quick: ImageSettings, start: str) -> None:
    """Two images have the label of another shape, and no step of the fit gives them their own."""
    images = from_array(shapes[0][:60], SIDE)
    known = torch.full((60,), -1)
    known[:6] = torch.tensor([0, 1, 2, 0, 2, 1])  # shapes 0, 1, 2, 0, 1, 2
    changes = {"start": start, "iterations": 12, "hold_until": 0.0, "student_epochs": 0}
    settings, seen = quick.model_copy(update=changes), []
    fit = ImageFit(images, settings, 3, seed=0, device=CPU, known=known)
    fit.run(after=lambda: seen.append(fit.labels[:6].tolist()))
    assert seen == [known[:6].tolist()] * 12
    model = fit_images(images, settings, seed=0, device=CPU, known=known)
    assert torch.equal(model.probabilities[:6], torch.eye(3)[known[:6]])
    assert model.probabilities[6:].amax(1).min() < 1


def test_the_number_of_clusters_is_learned(shapes: Shapes, quick: ImageSettings) -> None:
    """Started with six, small clusters are pruned and the others' numbers close up."""
    settings = quick.model_copy(update={"n_clusters": "auto", "max_clusters": 6, "student_epochs": 0})
    model = fit_images(from_array(shapes[0], SIDE), settings, seed=0, device=CPU)
    n_clusters = len(model.proportions)
    assert 2 <= n_clusters <= 6
    assert model.settings.n_clusters == n_clusters
    assert model.probabilities.shape == (180, n_clusters)
    assert (model.proportions > 0).all()


def test_exactly_the_clusters_with_too_few_images_are_pruned(
    shapes: Shapes, quick: ImageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five, two have 3 and 2 of 180 images; these go where their shape is."""
    start = torch.from_numpy(shapes[1] + 1)
    start[:3], start[3:5] = 0, 4
    monkeypatch.setattr(fit_run, "partition", lambda *arguments: start)
    changes = {"n_clusters": "auto", "max_clusters": 5, "student_epochs": 0, "hold_until": 1.0}
    model = fit_images(from_array(shapes[0], SIDE), quick.model_copy(update=changes), seed=0, device=CPU)
    assert model.generator.n_clusters == model.settings.n_clusters == len(model.proportions) == 3
    assert model.probabilities.argmax(1).tolist() == shapes[1].tolist()


def test_too_few_images_are_refused(shapes: Shapes, quick: ImageSettings) -> None:
    """Fewer distinct images than clusters end in a line."""
    same = from_array(np.repeat(shapes[0][:1], 20, axis=0), SIDE)
    with pytest.raises(PixelClusterError, match="1 distinct images for 3 clusters"):
        fit_images(same, quick, seed=0, device=CPU)
