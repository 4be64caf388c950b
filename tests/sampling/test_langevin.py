from __future__ import annotations

import pytest
import torch

from pixelcluster.model.likelihood import IsotropicNoise, LabelGroups, log_likelihood_of_features
from pixelcluster.sampling import langevin
from pixelcluster.sampling.noise import Streams

N_CHAINS, D, F = 1500, 4, 2


@pytest.fixture
def posterior():
    """A linear generator x = A z + e with z ~ N(0, I): log joint of N_CHAINS chains, mean and precision."""
    random = torch.Generator().manual_seed(0)
    matrix = torch.randn(D, F, generator=random)
    x, sigma = torch.randn(D, generator=random), torch.tensor(0.8)
    log_likelihood = log_likelihood_of_features(
        x.expand(N_CHAINS, D),
        matrix[None],
        LabelGroups(torch.zeros(N_CHAINS, dtype=torch.int64), 1),
        IsotropicNoise(sigma),
    )

    def log_joint(z: torch.Tensor) -> torch.Tensor:
        return log_likelihood(z) - z.square().sum(1) / 2

    precision = torch.eye(F) + matrix.T @ matrix / sigma**2
    return log_joint, torch.linalg.solve(precision, matrix.T @ x / sigma**2), precision


def run(log_prob, n_steps: int, **settings):
    streams = Streams(0, range(N_CHAINS))
    state = langevin.init(torch.zeros(N_CHAINS, F), log_prob)
    for _ in range(n_steps):
        state, _ = langevin.step(streams, state, log_prob, **settings)
    return state.position


def assert_gaussian(z: torch.Tensor, mean: torch.Tensor, covariance: torch.Tensor) -> None:
    """Mean and covariance within 5 standard errors; chains are independent, so each counts as one sample."""
    n = len(z)
    variances = covariance.diagonal()
    assert ((z.mean(0) - mean).abs() < 5 * (variances / n).sqrt()).all()
    errors = ((covariance.square() + variances[:, None] * variances) / n).sqrt()
    assert ((z.T.cov() - covariance).abs() < 5 * errors).all()


def test_unadjusted_chain_has_the_biased_law_of_its_step_size(posterior) -> None:
    log_joint, mean, precision = posterior
    step_size = 0.1
    z = run(log_joint, 40, step_size=step_size)
    # z' = z - h P (z - m) + sqrt(2 h) n is stationary at covariance (P - h P^2 / 2)^-1, not P^-1.
    biased = (precision - step_size * precision @ precision / 2).inverse()
    assert_gaussian(z, mean, biased)
    with pytest.raises(AssertionError):
        assert_gaussian(z, mean, precision.inverse())


def test_a_preconditioner_is_the_covariance_of_the_noise(posterior) -> None:
    log_joint, mean, precision = posterior
    diagonal = 1 / precision.diagonal()
    step_size = 0.5
    z = run(log_joint, 40, step_size=step_size, preconditioner=diagonal)
    # As above in units of the square root of the diagonal D: (P - h P D P / 2)^-1.
    biased = (precision - step_size * precision @ diagonal.diag() @ precision / 2).inverse()
    assert_gaussian(z, mean, biased)


def test_temperature_scales_the_covariance(posterior) -> None:
    log_joint, mean, precision = posterior
    z = run(log_joint, 40, step_size=0.1, temperature=0.25)
    biased = (precision - 0.1 * precision @ precision / 2).inverse()
    assert_gaussian(z, mean, biased / 4)


def test_temperature_zero_is_gradient_ascent(posterior) -> None:
    log_joint, mean, _ = posterior
    z = run(log_joint, 100, step_size=0.1, temperature=0.0)
    torch.testing.assert_close(z, mean.expand(N_CHAINS, F), rtol=1e-4, atol=1e-4)
    state = langevin.init(mean.expand(N_CHAINS, F), log_joint)
    at_rest = state._replace(gradient=torch.zeros(N_CHAINS, F))
    moved, stayed = langevin.step(Streams(0, []), at_rest, log_joint, step_size=1.0, temperature=0.0)
    assert torch.equal(moved.position, state.position)
    assert not stayed.any()


def test_a_step_takes_one_evaluation(posterior) -> None:
    log_joint, _, _ = posterior
    calls = []

    def counted(z):
        calls.append(1)
        return log_joint(z)

    state = langevin.init(torch.zeros(N_CHAINS, F), counted)
    for _ in range(3):
        state, _ = langevin.step(Streams(0, range(N_CHAINS)), state, counted, step_size=0.1)
    assert len(calls) == 4


def test_non_finite_proposals_stay_and_count_row_by_row() -> None:
    def log_prob(z):
        return torch.where(z[:, 0] > 0, torch.nan, -z.square().sum(1))

    position = torch.tensor([[-1.0, 0.0], [-1e-3, 0.0]])
    start = langevin.init(position, log_prob)._replace(gradient=torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    state, stayed = langevin.step(Streams(0, [0, 1]), start, log_prob, step_size=0.1, temperature=0.0)
    assert stayed.tolist() == [False, True]
    torch.testing.assert_close(state.position, torch.tensor([[-1.0, 0.1], [-1e-3, 0.0]]))
    assert torch.equal(state.gradient[1], start.gradient[1])
    assert state.log_prob.isfinite().all()


def of_precision(precision: torch.Tensor):
    """The log density of a Gaussian of this diagonal precision, (F,)."""
    return lambda z: -(z.square() * precision).sum(1) / 2


def test_the_preconditioner_is_that_of_the_stiffest_direction() -> None:
    """One axis is 100 times stiffer than 99 others: along a random direction the curvature is 10."""
    precision = torch.cat([torch.full((1,), 100.0), torch.ones(99)])
    log_prob, streams = of_precision(precision), Streams(0, range(20))
    state = langevin.init(torch.ones(20, 100), log_prob)
    factor, direction = langevin.inverse_curvature(streams, state, log_prob, torch.zeros(20, 100))
    assert factor.shape == (20, 1)
    assert float((factor * precision.max()).min()) > 0.8
    assert float((factor * precision.max()).max()) < 1.25
    assert (direction[:, 0].abs() > 0.98 * direction.norm(dim=1)).all()
    for _ in range(200):
        state, _ = langevin.step(streams, state, log_prob, step_size=1.0, preconditioner=factor)
    # Stationary variance of the stiff axis at h = 1: 1 / (P (1 - h / 2)), twice that of the law.
    assert float(state.position[:, 0].square().mean()) < 10 / 100


def test_a_kept_direction_comes_nearer_by_one_evaluation_a_visit() -> None:
    """Precisions 1 to 100, no gap: three iterations find .82 of the largest, the ninth .92 (closed form)."""
    precision, calls = torch.linspace(1, 100, 400), []

    def log_prob(z: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return of_precision(precision)(z)

    streams, direction = Streams(0, range(20)), torch.zeros(20, 400)
    state = langevin.init(torch.ones(20, 400), log_prob)
    for n_iterations in (3, *range(4, 10)):
        calls.clear()
        factor, direction = langevin.inverse_curvature(streams, state, log_prob, direction)
        assert len(calls) == (3 if n_iterations == 3 else 1)
        # |P^n d| / |P^(n-1) d| of a random d, in expectation
        n = 2 * n_iterations
        expected = (precision.pow(n).sum() / precision.pow(n - 2).sum()).sqrt()
        assert float((1 / factor).mean()) == pytest.approx(float(expected), rel=0.02)
        assert float((1 / factor).max()) <= 100.5


def test_a_direction_that_is_not_finite_is_forgotten_and_others_do_not_notice() -> None:
    log_prob = of_precision(torch.linspace(1, 100, 50))
    kept = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    broken = torch.stack([kept[0], torch.full((50,), torch.nan)])
    state = langevin.init(torch.ones(2, 50), log_prob)
    good, good_direction = langevin.inverse_curvature(Streams(0, [0, 1]), state, log_prob, kept)
    factor, direction = langevin.inverse_curvature(Streams(0, [0, 1]), state, log_prob, broken)
    assert torch.equal(factor[0], good[0])
    assert torch.equal(direction[0], good_direction[0])
    assert 1 / 100.5 < float(factor[1]) < 1 / 50


def test_steps_too_long_for_the_curvature_are_shortened() -> None:
    """100 times the longest stable step: without `shorten` the chain grows beyond all bounds."""
    precision = torch.linspace(1, 100, 50)
    log_prob, streams = of_precision(precision), Streams(0, range(20))
    state, factor = langevin.init(torch.zeros(20, 50), log_prob), torch.ones(20, 1)
    for _ in range(20):
        before = state
        state, _ = langevin.step(streams, before, log_prob, step_size=1.0, preconditioner=factor)
        shorter = langevin.shorten(factor, before, state)
        assert (shorter <= factor).all()
        assert (shorter > 0.99 / 100).all()  # never below one over the largest
        factor = shorter
    assert (factor < 2 / 100).all()
    assert float((state.position.square() * precision).mean()) < 10  # of the law: 1
    assert torch.equal(langevin.shorten(factor, state, state), factor)  # a refused step says nothing
