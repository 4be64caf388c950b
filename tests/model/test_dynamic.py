from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.dynamic import MOST, DynamicPrior, estimate_stay, log_transition
from pixelcluster.model.generator import ClusteredGenerator
from pixelcluster.model.graph import PixelGrid
from pixelcluster.model.prior import LabelPrior
from pixelcluster.sampling import gibbs
from pixelcluster.sampling.noise import Streams
from pixelcluster.sampling.posterior import infer

PI = torch.tensor([0.5, 0.3, 0.2])


def random_likelihood(*shape: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_forward_filter_against_enumeration() -> None:
    stay, likelihood = 0.7, random_likelihood(4, 3)  # frames, clusters
    marginals = (PI.log() + likelihood[0]).softmax(0)
    for frame in likelihood[1:]:
        marginals = (PI.log() + log_transition(marginals, PI, stay) + frame).softmax(0)
    change = stay * torch.eye(3) + (1 - stay) * PI
    expected = torch.zeros(3)
    for path in product(range(3), repeat=4):
        p = (
            PI[path[0]]
            * torch.stack([frame[k] for frame, k in zip(likelihood, path, strict=True)]).sum().exp()
        )
        for before, after in pairwise(path):
            p = p * change[before, after]
        expected[path[-1]] += p
    torch.testing.assert_close(marginals, expected / expected.sum())


def test_a_frame_before_that_knows_nothing_adds_nothing() -> None:
    field = PI[:, None, None].expand(3, 2, 4)
    torch.testing.assert_close(log_transition(field, field, 0.9), torch.zeros(3, 2, 4), atol=1e-6, rtol=0)
    certain = torch.eye(3)[:, :, None]
    torch.testing.assert_close(log_transition(certain, PI[:, None, None], 0.0), torch.zeros(3, 3, 1))


def test_pruned_clusters_stay_finite() -> None:
    base = torch.tensor([1.0, 0.0])
    assert log_transition(torch.tensor([1.0, 0.0]), base, 0.9).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("planted", [0.0, 0.4, 0.9, 1.0])
def test_stay_of_a_simulated_sequence(planted: float) -> None:
    random = torch.Generator().manual_seed(1)
    n = 40_000
    before = torch.multinomial(PI, n, replacement=True, generator=random)
    drawn = torch.multinomial(PI, n, replacement=True, generator=random)
    after = before.where(torch.rand(n, generator=random) < planted, drawn)
    x = after + 0.7 * torch.randn(n, generator=random)
    log_likelihood = -((x - torch.arange(3)[:, None]) ** 2) / (2 * 0.7**2)
    q = torch.nn.functional.one_hot(before, 3).T.float()
    found = estimate_stay(q, PI[:, None], log_likelihood)
    assert found == pytest.approx(min(planted, MOST), abs=0.02)
    # The oracle: the likelihood itself on a grid.
    kept, fresh = (q * log_likelihood.exp()).sum(0), (PI[:, None] * log_likelihood.exp()).sum(0)
    grid = torch.linspace(0, MOST, 100)
    best = grid[torch.stack([(s * kept + (1 - s) * fresh).log().sum() for s in grid]).argmax()]
    assert found == pytest.approx(float(best), abs=0.02)


def test_likelihoods_of_zero_are_survived() -> None:
    q = torch.eye(3)[:, :1].expand(3, 5)
    far = torch.tensor([-1e5, 0.0, -1e5])[:, None].expand(3, 5)
    assert estimate_stay(q, torch.tensor([1.0, 0.0, 0.0])[:, None], far) >= 0


def test_gibbs_under_a_history_against_enumeration() -> None:
    base = LabelPrior(PI, potts_weight=0.6)
    history, evidence = random_likelihood(3, 2, 2, seed=3), random_likelihood(1, 3, 2, 2, seed=4)
    prior, graph = DynamicPrior.after(base, history), PixelGrid(2, 2)
    labels = torch.tensor([[[0, 2], [1, 1]]])
    conditionals = torch.zeros(1, 3, 2, 2)
    gibbs.sweep(Streams(0, [0]), labels, evidence, prior, graph, temperature=0, conditionals=conditionals)
    # The first colour is the first cell, whose neighbours are still the start's.
    votes = torch.tensor([0.0, 1 + 2**-0.5, 1.0])
    logits = PI.log() + history[:, 0, 0] + evidence[0, :, 0, 0] + 0.6 * votes
    torch.testing.assert_close(conditionals[0, :, 0, 0], logits.softmax(0))


def test_history_and_rows_add_up() -> None:
    rows = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    base, history = LabelPrior(PI, rows), random_likelihood(3, 2, 5)
    prior = DynamicPrior.after(base, history)
    torch.testing.assert_close(prior.unary(2, 5), base.unary(2, 5) + history)
    with pytest.raises(PixelClusterError, match="cells"):
        prior.position((2, 4))


def test_latents_follow_the_frame_before() -> None:
    """Without evidence z is drawn from N(rho z', 1 - rho^2), and N(0, 1) over frames stays what it is.

    Unadjusted Langevin of step size h makes the variance of a Gaussian 1 / (1 - h / 2) times as large.
    """
    generator = ClusteredGenerator(2, 3, latent_channels=2, latent_stride=1, width=4, seed=0)
    before = torch.randn(400, 2, 2, 2, generator=torch.Generator().manual_seed(5))
    result = infer(
        Streams(0, range(400)), torch.zeros(400, 3, 2, 2), generator, LabelPrior(torch.full((2,), 0.5)),
        PixelGrid(2, 2), before, torch.zeros(400, 2, 2, dtype=torch.int64), rounds=6, step_size=0.3,
        langevin_steps=10, mask=torch.zeros(400, 2, 2, dtype=torch.bool),
        drift=(0.8 * before, 0.6),
    )  # fmt: skip
    n, variance = before.numel(), 0.36 / (1 - 0.3 / 2)
    assert float((result.z - 0.8 * before).mean()) == pytest.approx(0, abs=5 * 0.6 / n**0.5)
    assert float((result.z - 0.8 * before).var()) == pytest.approx(
        variance, abs=5 * variance * (2 / n) ** 0.5
    )
    assert float(result.z.var()) == pytest.approx(1, abs=0.15)
