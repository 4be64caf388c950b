from __future__ import annotations

import copy
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.metrics.matching import Confusion
from pixelcluster.training.fit import Fit
from pixelcluster.training.refusals import NotFiniteError
from pixelcluster.training.run import best_fit
from tests.synthetic import cells, settings

CPU = torch.device("cpu")


def accuracy(fit: Fit, labels: list[torch.Tensor]) -> float:
    confusion = Confusion(fit.generator.n_clusters, 3)
    for index, label in enumerate(labels):
        confusion.update(fit.probabilities[index].float().argmax(0).numpy(), label.numpy())
    return confusion.acc


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"generator": {"latent_channels": 0}},
        {"generator": {"latent_stride": 4}},
        {"generator": {"noise": "full"}},
        {"training": {"start": "spectral"}},
        {"sampler": {"temperature": 0.0}},
    ],
    ids=["one-latent", "no-latent", "latent-field", "full-noise", "spectral", "maximum"],
)
def test_planted_labels_are_recovered(changes) -> None:
    images, labels = cells(6)
    fit = Fit(images, settings(**changes), seed=0, device=CPU)
    fit.run(fit.config.training.epochs)
    assert accuracy(fit, labels) > 0.9
    assert fit.history[-1]["objective"] > fit.history[0]["objective"] - 0.05
    assert sum(fit.history[-1]["shares"]) == pytest.approx(1, abs=1e-3)


def test_the_convolutional_form_learns() -> None:
    images, _ = cells(2)
    config = settings(generator={"form": "convolutional", "width": 4}, training={"learning_rate": 0.02})
    fit = Fit(images, config, seed=0, device=CPU)
    fit.run(4)
    assert fit.history[-1]["objective"] > fit.history[0]["objective"]


def test_the_papers_start_draws_labels_and_latents() -> None:
    images, _ = cells(2)
    fit = Fit(images, settings(training={"start": "random"}), seed=0, device=CPU)
    z, label_map, _ = fit.chains.get([0])
    assert z.abs().max() > 0
    assert label_map.unique().tolist() == [0, 1, 2]
    fit.run(2)
    assert math.isfinite(fit.objective)


def test_one_latent_cell_an_image_stays_finite_and_small() -> None:
    """Without the curvature's scale a step overshoots: all label cells pull at one latent cell."""
    images, _ = cells(4, size=(48, 64))
    fit = Fit(images, settings(generator={"latent_stride": None, "noise": "isotropic"}), seed=0, device=CPU)
    fit.run(4)
    z, _, _ = fit.chains.get(range(4))
    assert z.isfinite().all()
    assert z.abs().max() < 8
    assert all(parameter.isfinite().all() for parameter in fit.generator.parameters())
    assert fit.history[-1]["objective"] > fit.history[0]["objective"]


def test_a_visit_teaches_the_trunk() -> None:
    """Adam alone touches it: at the chains the visit left, the trunk it left explains the images better."""
    images, _ = cells(4)
    fit = Fit(images, settings(training={"learning_rate": 1e-3}), seed=0, device=CPU)
    before = copy.deepcopy(fit.generator)
    posterior, mask = fit.visit(range(4))
    x, _ = fit.gather(range(4))
    taught = copy.deepcopy(before)
    taught.trunk.load_state_dict(fit.generator.trunk.state_dict())
    with torch.no_grad():
        old, new = (
            generator.log_likelihood(x, generator.trunk(posterior.z, x.shape[2:]), posterior.label_map, mask)
            for generator in (before, taught)
        )
    assert new.sum() > old.sum() + 1e-3 * mask.sum()


def test_an_epoch_ends_with_the_mean_and_shrunk_covariance_of_each_clusters_cells() -> None:
    """As numpy has them: covariances are shrunk by 10 D pseudo-cells of the common spread."""
    images, _ = cells(4, noise=0.6)
    images = [replace(image, mask=image.targets[0] > -2) for image in images]
    config = settings(generator={"latent_channels": 0, "noise": "full"})
    fit = Fit(images, config, seed=0, device=CPU)
    with torch.no_grad():
        fit.generator.heads[..., 0] += 0.5
    fit.run(1)
    points = np.concatenate([image.targets[:, image.mask].T.double() for image in images])
    labels = np.concatenate([fit.chains.get([index])[1][0][image.mask] for index, image in enumerate(images)])
    assert len(points) < sum(image.mask.numel() for image in images)
    own = [points[labels == k] for k in range(3)]
    scatters = [part.T @ part - len(part) * np.outer(part.mean(0), part.mean(0)) for part in own]
    spread = sum(np.trace(scatter) for scatter in scatters) / points.size
    factors = fit.generator.noise().factor.detach().double()
    for k, (part, scatter) in enumerate(zip(own, scatters, strict=True)):
        np.testing.assert_allclose(fit.generator.heads[k, :, 0].detach(), part.mean(0), atol=1e-5)
        wanted = (scatter + 30 * spread * np.eye(3)) / (len(part) + 30)
        np.testing.assert_allclose(torch.linalg.inv(factors[k] @ factors[k].T), wanted, atol=1e-4)


def test_same_seed_same_run_and_another_seed_another() -> None:
    images, _ = cells(3)
    runs = [Fit(images, settings(), seed=seed, device=CPU) for seed in (5, 5, 6)]
    for fit in runs:
        fit.run(2)
    assert runs[0].history == runs[1].history
    assert runs[0].objective != runs[2].objective


def test_a_visit_does_not_depend_on_the_order_of_its_images() -> None:
    images, _ = cells(3)
    one, other = (Fit(images, settings(), seed=1, device=CPU) for _ in range(2))
    one.visit([0, 1, 2])
    other.visit([2, 0, 1])
    for index in range(3):
        for mine, its in zip(one.chains.get([index])[:2], other.chains.get([index])[:2], strict=True):
            torch.testing.assert_close(mine, its, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(one.probabilities[index], other.probabilities[index], atol=2e-3, rtol=0)


def test_masked_cells_change_nothing() -> None:
    images, _ = cells(3)
    runs = []
    for fill in (0.0, 40.0):
        masked = []
        for image in images:
            targets, mask = image.targets.clone(), image.mask.clone()
            targets[:, 3:7], mask[3:7] = fill, False
            masked.append(replace(image, targets=targets, mask=mask))
        fit = Fit(masked, settings(), seed=0, device=CPU)
        fit.run(2)
        runs.append(fit)
    assert runs[0].history == runs[1].history
    label_maps = [fit.chains.get([0])[1][:, images[0].mask.shape[0] // 2 + 1 :] for fit in runs]
    assert torch.equal(*label_maps)


def test_a_wholly_masked_image_among_others() -> None:
    images, labels = cells(4)
    images[2] = replace(images[2], mask=torch.zeros_like(images[2].mask))
    fit = Fit(images, settings(training={"batch_size": 1}), seed=0, device=CPU)
    fit.run(3)
    assert math.isfinite(fit.objective)
    del images[2], labels[2]
    fit.probabilities[2] = fit.probabilities[3]
    assert accuracy(fit, labels) > 0.9


def test_an_empty_cluster_is_put_on_a_cell() -> None:
    images, _ = cells(4)
    fit = Fit(images, settings(), seed=0, device=CPU)
    with torch.no_grad():
        fit.generator.heads[1, :, 0] = 1e3
    before = fit.generator.heads.detach().clone()
    fit.update_clusters(torch.tensor([[100.0, 0.0, 80.0]]).repeat(8, 1))
    after = fit.generator.heads.detach()
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    points = torch.cat([image.targets.flatten(1).T for image in images])
    assert (points - after[1, :, 0]).abs().sum(1).min() == 0


def test_a_reseeded_cluster_stays_where_it_was_put() -> None:
    images, _ = cells(4)
    outlier = torch.full((3,), 50.0)
    images[0].targets[:, 0, 0] = outlier  # the only cell of its cluster, less than a hundredth of a share
    fit = Fit(images, settings(generator={"noise": "full"}), seed=0, device=CPU)
    assert (fit.generator.heads[..., 0] - outlier).norm(dim=1).min() < 1e-3
    fit.run(1)
    assert (fit.generator.heads[..., 0] - outlier).norm(dim=1).min() > 20


@pytest.mark.parametrize("rows", [0, 4])
def test_learned_number_of_clusters_prunes(rows) -> None:
    images, labels = cells(8, offset=0.0)
    prior = {"rows": rows, "concentration": None}
    config = settings(n_clusters="auto", training={"max_clusters": 8}, prior=prior)
    fit = Fit(images, config, seed=0, device=CPU)
    assert fit.generator.n_clusters == 8
    fit.run(25)
    k = fit.generator.n_clusters
    assert 3 <= k <= 5
    assert fit.prior.n_clusters == k == len(fit.probabilities[0])
    assert float(fit.prior.proportions.sum()) == pytest.approx(1, abs=1e-5)
    assert max(int(fit.chains.get([index])[1].max()) for index in range(8)) < k
    table = np.zeros((k, 3))
    for index, label in enumerate(labels):
        np.add.at(table, (fit.probabilities[index].float().argmax(0).numpy(), label.numpy()), 1)
    assert table.max(1).sum() / table.sum() > 0.9


def test_pruned_cells_go_to_the_nearest_cluster() -> None:
    images, _ = cells(2)
    fit = Fit(images, settings(n_clusters="auto", training={"max_clusters": 4}), seed=0, device=CPU)
    fit.run(1)
    assert fit.generator.n_clusters == 4
    means = fit.generator.heads[..., 0].detach()
    before = {index: own.float() for index, own in fit.probabilities.items()}
    counts = torch.full((8, 4), 100.0)
    counts[:, 2] = 0
    fit.update_clusters(counts)
    heir = int((means - means[2]).norm(dim=1).index_fill(0, torch.tensor(2), torch.inf).argmin())
    for index, own in before.items():
        wanted = own.clone()
        wanted[heir] += own[2]
        torch.testing.assert_close(fit.probabilities[index].float(), wanted[[0, 1, 3]], atol=1e-3, rtol=0)
    fit.run(1)
    assert math.isfinite(fit.objective)


def test_pruning_renumbers_images_that_were_never_visited() -> None:
    images, _ = cells(2)
    fit = Fit(images, settings(n_clusters="auto", training={"max_clusters": 4}), seed=0, device=CPU)
    assert int(fit.chains.get([0])[1].max()) == 3
    counts = torch.full((8, 4), 100.0)
    counts[:, 2] = 0
    fit.update_clusters(counts)
    assert int(fit.chains.get([0])[1].max()) == 2
    fit.run(1)


def test_settings_that_exclude_each_other_are_refused() -> None:
    config = settings(generator={"sigma_schedule": "fixed"})
    with pytest.raises(PixelClusterError, match="noise full learns its covariances"):
        Fit(cells(1)[0], config, seed=0, device=CPU)


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    images, _ = cells(2)
    fit = Fit(images, settings(), seed=0, device=CPU)
    with torch.no_grad():
        fit.generator.shared.fill_(torch.inf)
    with pytest.raises(NotFiniteError, match=r"step 4: 4 of 4 visits .* parameters are not finite"):
        fit.run(3)


def test_an_image_that_turns_bad_is_left_out_and_named() -> None:
    images, labels = cells(12)
    fit = Fit(images, settings(), seed=0, device=CPU)
    fit.run(2)
    fit.images[7].targets[0, 3, 3] = torch.nan
    fit.run(2)
    assert fit.history[-1]["refused"] == 2
    assert fit.refusals.images == {7: 2}
    assert all(parameter.isfinite().all() for parameter in fit.generator.parameters())
    assert accuracy(fit, labels) > 0.9
    with pytest.raises(NotFiniteError, match="targets of image 8 are not finite"):
        for _ in range(3):
            fit.images[_].targets[0, 0, 0] = torch.inf
            fit.run(1)


def test_a_broken_chain_starts_again() -> None:
    images, _ = cells(3)
    fit = Fit(images, settings(generator={"latent_stride": 4}), seed=0, device=CPU)
    fit.run(1)
    z, label_map, _ = fit.chains.get([1])
    fit.chains.put([1], torch.full_like(z, torch.nan), label_map)
    fit.run(2)
    assert fit.refusals.images == {1: 1}
    assert fit.chains.get([1])[0].isfinite().all()
    assert math.isfinite(fit.objective)


def test_a_loss_that_is_not_finite_once_changes_no_parameter(monkeypatch) -> None:
    images, _ = cells(2)
    fit = Fit(images, settings(), seed=0, device=CPU)
    before = {name: value.clone() for name, value in fit.generator.state_dict().items()}
    real = fit.generator.log_likelihood
    monkeypatch.setattr(fit.generator, "log_likelihood", lambda *args: real(*args) * torch.nan)
    fit.visit([0, 1])
    assert fit.refusals.images == {0: 1, 1: 1}
    assert all(torch.equal(value, before[name]) for name, value in fit.generator.state_dict().items())
    monkeypatch.undo()
    fit.run(1)
    assert not torch.equal(fit.generator.heads, before["heads"])


def test_annealing_halves_sigma() -> None:
    images, _ = cells(2)
    annealed = {"sigma": 0.4, "sigma_schedule": "annealed", "noise": "isotropic"}
    config = settings(generator=annealed, training={"epochs": 6})
    fit = Fit(images, config, seed=0, device=CPU)
    seen = []
    original = fit.generator.noise.set_sigma
    fit.generator.noise.set_sigma = lambda sigma: (seen.append(sigma), original(sigma))[1]
    fit.run(6)
    assert seen[0] == pytest.approx(0.8)
    assert seen == sorted(seen, reverse=True)
    assert seen[3:] == pytest.approx([0.4] * 3)


def test_progress_tells_start_and_epoch() -> None:
    images, _ = cells(3)
    states: list[dict[str, object]] = []
    config = settings(training={"batch_size": 2, "restarts": 2, "epochs": 2})
    best_fit(images, config, seed=0, device=CPU, progress=states.append)
    where = [(state["start"], state["starts"], state["epoch"], state["epochs"]) for state in states]
    assert where == [(start, 2, epoch, 2) for start in (1, 2) for epoch in (1, 1, 2, 2)]
    assert set(states[0]) == {"start", "starts", "epoch", "epochs", "objective", "shares", "rejected"}
    assert np.allclose([sum(state["shares"]) for state in states], 1, atol=1e-3)


def test_no_epoch_begins_after_the_deadline() -> None:
    images, _ = cells(2)
    fit = best_fit(images, settings(), seed=0, device=CPU, deadline=time.monotonic() - 1)
    assert fit.history == []
    assert fit.objective == -math.inf


def test_the_best_restart_goes_on() -> None:
    images, _ = cells(3, noise=1.2)
    config = settings(training={"restarts": 3, "epochs": 2, "start": "random"})
    best = best_fit(images, config, seed=2, device=CPU)
    objectives = []
    for index in range(3):
        fit = Fit(images, config, seed=2000 + index, device=CPU)
        fit.run(2)
        objectives.append(fit.objective)
    assert best.objective == max(objectives)
    assert len(set(objectives)) == 3
