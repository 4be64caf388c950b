from __future__ import annotations

import pytest
import torch

from pixelcluster.sampling.noise import Streams


@pytest.mark.parametrize("method", ["normal", "uniform"])
def test_draws_depend_on_seed_id_and_step_alone(method: str) -> None:
    def draw(seed, ids, step):
        return getattr(Streams(seed, ids, step), method)((3,))

    batch = draw(0, ["a", "b", 7], 2)
    assert torch.equal(draw(0, [7, "b"], 2), batch[[2, 1]])
    assert torch.equal(draw(0, ["b", 7], [2, 2]), batch[1:])
    for other in (draw(1, ["a"], 2), draw(0, ["c"], 2), draw(0, ["a"], 3), batch[1:2]):
        assert not torch.equal(other, batch[:1])


def test_a_stream_moves_on() -> None:
    streams = Streams(0, [1])
    assert not torch.equal(streams.normal((3,)), streams.normal((3,)))


def test_dirichlet_moments() -> None:
    concentration = torch.tensor([0.01, 0.6, 3.0])
    n = 4000
    theta = Streams(0, range(n)).log_dirichlet(concentration.expand(n, 3)).exp().double()
    law = torch.distributions.Dirichlet(concentration.double())
    torch.testing.assert_close(theta.sum(1), torch.ones(n, dtype=torch.float64), rtol=1e-5, atol=1e-5)
    assert ((theta.mean(0) - law.mean).abs() < 5 * (law.variance / n).sqrt()).all()
    assert ((theta.var(0) / law.variance - 1).abs()[1:] < 0.15).all()


def test_small_concentrations_keep_their_tail() -> None:
    n = 2000
    log_theta = Streams(0, range(n)).log_dirichlet(torch.tensor([0.01, 1.0]).expand(n, 2))
    # log theta_0 is about log(U) / 0.01: mean -100, beyond what exponentials of it can hold.
    assert float(log_theta[:, 0].mean()) == pytest.approx(-100, rel=0.15)
    assert log_theta[:, 0].isfinite().all()


def test_pruned_cluster_is_never_drawn() -> None:
    log_theta = Streams(0, [1, 2]).log_dirichlet(torch.tensor([[0.0, 2.0], [0.0, 1.0]]))
    assert log_theta.tolist() == [[-torch.inf, 0.0], [-torch.inf, 0.0]]
