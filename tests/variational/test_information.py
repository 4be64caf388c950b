from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import mutual_info_score

from pixelcluster.variational.information import Weights, mixture_loss
from pixelcluster.variational.mixture import Terms

WEIGHTS = Weights(evidence=2.0, information=0.5, balance=3.0, agreement=0.7)


def hard(labels, n_clusters=3):
    """log q of almost one-hot probabilities."""
    q = torch.nn.functional.one_hot(torch.tensor(labels), n_clusters).double()
    return (q * (1 - 1e-9) + 1e-9 / n_clusters).log()


def no_evidence(n):
    return Terms(*torch.zeros(3, n, dtype=torch.float64))


def test_information_is_that_of_the_labels():
    labels = [0, 0, 1, 2, 2, 2]
    log_q = hard(labels)
    loss = mixture_loss(log_q, (log_q, log_q), no_evidence(6), 1, WEIGHTS)
    # With hard labels c is a function of x, so that I(c; x) is the entropy of the labels.
    assert float(loss.information) == pytest.approx(mutual_info_score(labels, labels), abs=1e-6)
    assert float(loss.total) == pytest.approx(-0.5 * 3.0 * float(loss.information), abs=1e-6)


def test_one_cluster_and_indecision_both_tell_nothing():
    undecided = torch.full((6, 3), -math.log(3.0))
    for log_q in (hard([1] * 6), undecided):
        loss = mixture_loss(log_q, (log_q, log_q), no_evidence(6), 1, WEIGHTS)
        assert float(loss.information) == pytest.approx(0, abs=1e-6)


def test_the_parts_add_up_and_only_the_view_learns_from_disagreement():
    random = torch.Generator().manual_seed(0)
    plain, view = torch.randn(2, 8, 3, generator=random, dtype=torch.float64)
    plain.requires_grad_()
    view.requires_grad_()
    terms = Terms(*torch.randn(3, 8, generator=random, dtype=torch.float64))
    log_q = plain.detach().log_softmax(1)
    loss = mixture_loss(log_q, (plain.log_softmax(1), view.log_softmax(1)), terms, 5, WEIGHTS)
    marginal = log_q.exp().mean(0)
    marginal_entropy = -(marginal * marginal.log()).sum()
    information = 2 * marginal_entropy + loss.information
    wanted = 0.7 * loss.disagreement - 0.5 * information - 2 / 5 * terms.elbo.mean()
    assert float(loss.total.detach()) == pytest.approx(float(wanted.detach()))
    loss.total.backward()
    assert plain.grad is None
    assert view.grad.abs().sum() > 0
