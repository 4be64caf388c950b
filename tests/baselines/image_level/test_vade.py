from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from pixelcluster.baselines.image_level.vade import Mixture, Vade
from tests.baselines.image_level.planted import agreement, planted


@pytest.fixture
def mixture():
    random = torch.Generator().manual_seed(0)
    weights = torch.tensor([0.2, 0.5, 0.3])
    return Mixture(weights, torch.randn(3, 4, generator=random), torch.randn(3, 4, generator=random))


def test_log_joint_is_that_of_torch(mixture):
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    parts = Independent(Normal(mixture.means, (0.5 * mixture.log_variances).exp()), 1)
    oracle = MixtureSameFamily(Categorical(logits=mixture.logits), parts)
    assert torch.allclose(mixture.log_joint(z).logsumexp(1), oracle.log_prob(z), atol=1e-5)


def test_divergence_is_the_sum_of_torch_divergences(mixture):
    random = torch.Generator().manual_seed(2)
    mean, log_variance = (torch.randn(5, 4, generator=random) for _ in range(2))
    posterior = torch.randn(5, 3, generator=random).softmax(1)
    expected = kl_divergence(Categorical(posterior), Categorical(logits=mixture.logits))
    for c in range(3):
        prior = Normal(mixture.means[c], (0.5 * mixture.log_variances[c]).exp())
        own = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), prior).sum(1)
        expected = expected + posterior[:, c] * own
    assert torch.allclose(mixture.divergence(mean, log_variance, posterior), expected, atol=1e-4)


def test_one_cluster_is_the_divergence_of_two_normals():
    single = Mixture(torch.ones(1), torch.ones(1, 2), torch.zeros(1, 2))
    value = single.divergence(torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 1))
    assert value.item() == pytest.approx(1.0)


def test_planted_clusters_are_found_and_the_objective_falls(monkeypatch, small_autoencoder):
    monkeypatch.setattr("pixelcluster.baselines.image_level.vade._PRETRAINING_EPOCHS", 200)
    monkeypatch.setattr("pixelcluster.baselines.image_level.vade._EPOCHS", 40)
    images, _ = planted()
    unseen, labels = planted(seed=1)
    method = Vade(3, minutes=1).fit(images)
    assert agreement(method.predict(unseen), labels) > 0.95
    assert method.history_[-1] < method.history_[0]
