"""What is maximised beside the evidence: terms that decide which of many good mixtures is found.

Averaged over images, the ELBO's own term for c splits (Hoffman and Johnson, ELBO surgery, 2016) into

    E_x KL(q(c | x) || p(c)) = I_q(c; x) + KL(qbar || p),    qbar = E_x q(c | x):

it charges c for what it tells about x, and the bound falls into few clusters, as z can explain alone. As in
InfoVAE (Zhao, Song, Ermon, 2019) the price of I_q is turned around, and the marginal is held to the uniform
p(c) more firmly. Many partitions tell as much about x; agreement, KL(q(c | x) || q(c | T x)) over random
changes T that keep the class, prefers those that do not depend on T (Hu et al., IMSAT, ICML 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pixelcluster.variational.mixture import Terms, kl_categorical


@dataclass(frozen=True)
class Weights:
    """Weights of the loss per item, where D is the number of observed values an item.

        loss = -evidence / D * ELBO - information * (balance * H(qbar) - E H(q(c | x))) + agreement * A

    `balance` above 1 holds clusters to equal sizes more firmly than the information alone does.
    """

    evidence: float
    information: float
    balance: float
    agreement: float


class Loss(NamedTuple):
    """A batch's loss, and what it is made of; scalars, nats an item."""

    total: Tensor
    elbo: Tensor
    information: Tensor
    disagreement: Tensor


def mixture_loss(
    log_q: Tensor, pair: tuple[Tensor, Tensor], terms: Terms, n_observed: int, weights: Weights
) -> Loss:
    """Return the loss of `Weights`.

    Args:
        log_q: log q(c | x), (B, K).
        pair: log q(c | x) and log q(c | T x) of the same items, (M, K) each; only the second learns from it.
        terms: of the ELBO, (B,) each.
        n_observed: D.
        weights: of the terms.
    """
    q = log_q.exp()
    marginal = q.mean(0)
    marginal_entropy = -torch.xlogy(marginal, marginal).sum()
    entropy = -(q * log_q).sum(-1).mean()
    disagreement = kl_categorical(pair[0].detach(), pair[1]).mean()
    elbo = terms.elbo.mean()
    total = (
        weights.agreement * disagreement
        - weights.information * (weights.balance * marginal_entropy - entropy)
        - weights.evidence / n_observed * elbo
    )
    return Loss(total, elbo, marginal_entropy - entropy, disagreement)
