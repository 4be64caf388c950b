"""Gaussian likelihood of target rows: given labels, for every cluster, and as a quadratic of features.

The noise e = x - G(z, y) is N(0, sigma^2 I), or N(0, Sigma_k) with the covariance of the label's cluster; the
latter is a mixture of factor analysers whose pixel-scale latents are integrated out exactly. Everything works
on rows (N, D), one per label cell; channels-last fields are such rows without a copy.

Source: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model, eq. 4 and 7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Rows a product with all clusters takes at once: its output stays in cache and memory is bounded.
ROWS_AT_ONCE = 4096
_HALF_LOG_2PI = math.log(2 * math.pi) / 2


@dataclass(frozen=True)
class IsotropicNoise:
    """e ~ N(0, sigma^2 I), the same for all clusters.

    Attributes:
        sigma: scalar tensor, in units of the normalised targets.
    """

    sigma: Tensor

    def log_prob(self, residuals: Tensor, groups: LabelGroups | None = None) -> Tensor:
        """Return log N(e; 0, sigma^2 I), (N,), of residuals (N, D); labels make no difference."""
        squares: Tensor = torch.linalg.vector_norm(residuals, dim=1).square()
        return -squares / (2 * self.sigma.square()) - residuals.shape[1] * (self.sigma.log() + _HALF_LOG_2PI)

    def log_prob_all(self, residuals: Tensor, inputs: Tensor, heads: Tensor) -> Tensor:
        """Return log N(r - W_k c; 0, sigma^2 I), (K, N).

        The square is expanded, |r - W c|^2 = |r|^2 - 2 c.(W^T r - W^T W c / 2): no (K, N, D) tensor is made,
        and the product with [W^T, -W^T W / 2] is nearly the whole cost.

        Args:
            residuals: (N, D), r.
            inputs: (N, 1 + R), c, whose first column is 1.
            heads: (K, D, 1 + R), W.
        """
        n_clusters, _, n_inputs = heads.shape
        transposed = heads.transpose(1, 2)
        products = torch.cat([transposed, transposed @ heads / -2], dim=2).transpose(0, 1).flatten(0, 1)
        per_input = (products @ torch.cat([residuals, inputs], dim=1).T).view(n_inputs, n_clusters, -1)
        matches = per_input[0]
        for value, column in zip(per_input[1:], inputs.T[1:], strict=True):
            matches = torch.addcmul(matches, value, column)
        return torch.addcdiv(self.log_prob(residuals), matches, self.sigma.square())

    def precision_times(self, maps: Tensor) -> Tensor:
        """Return Sigma^-1 A_k, (K, D, F), of maps A (K, D, F)."""
        return maps / self.sigma.square()


@dataclass(frozen=True)
class FullNoise:
    """e ~ N(0, Sigma_k), one full covariance per cluster.

    Attributes:
        factor: (K, D, D) lower triangular L_k with positive diagonal and L_k L_k^T = Sigma_k^-1.
    """

    factor: Tensor

    def log_prob(self, residuals: Tensor, groups: LabelGroups) -> Tensor:
        """Return log N(e; 0, Sigma_label), (N,), of residuals (N, D) with the labels of groups."""
        white = groups.multiply(residuals, self.factor.transpose(1, 2))
        return self._log_normaliser()[groups.labels] - white.square().sum(1) / 2

    def log_prob_all(self, residuals: Tensor, inputs: Tensor, heads: Tensor) -> Tensor:
        """Return log N(r - W_k c; 0, Sigma_k), (K, N); arguments as in `IsotropicNoise.log_prob_all`."""
        whiteners = self.factor.transpose(1, 2)
        maps = torch.cat([whiteners, -whiteners @ heads], dim=2)
        columns = torch.cat([residuals, inputs], dim=1).T
        # A loop over clusters: one (D, N) product lives at a time.
        energies = torch.stack([(whitener @ columns).square().sum(0) for whitener in maps])
        return self._log_normaliser()[:, None] - energies / 2

    def precision_times(self, maps: Tensor) -> Tensor:
        """Return Sigma_k^-1 A_k, (K, D, F), of maps A (K, D, F)."""
        return self.factor @ (self.factor.transpose(1, 2) @ maps)

    def _log_normaliser(self) -> Tensor:
        """Return log |L_k| - D/2 log 2 pi, (K,)."""
        return self.factor.diagonal(dim1=1, dim2=2).log().sum(1) - self.factor.shape[1] * _HALF_LOG_2PI


Noise = IsotropicNoise | FullNoise


class LabelGroups:
    """Rows sorted by label, so that each cluster's matrix meets its own rows in one product.

    Work and memory do not grow with K, unlike gathering a matrix for every row or masking K dense products.

    Args:
        labels: (N,) int64 in 0..K-1.
        n_clusters: K.
    """

    def __init__(self, labels: Tensor, n_clusters: int) -> None:
        self.labels = labels
        self._order = labels.argsort()
        self._inverse = torch.empty_like(self._order)
        self._inverse[self._order] = torch.arange(len(labels), device=labels.device)
        self._sizes = torch.bincount(labels, minlength=n_clusters).tolist()

    def sort(self, rows: Tensor) -> Tensor:
        """Return rows (N, ...) in the order of their labels."""
        return rows.index_select(0, self._order)

    def restore(self, rows: Tensor) -> Tensor:
        """Undo `sort`."""
        return rows.index_select(0, self._inverse)

    def split(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the K groups of sorted rows, as views."""
        return torch.split(rows, self._sizes)

    def multiply(self, rows: Tensor, matrices: Tensor) -> Tensor:
        """Return matrices[label] @ row, (N, O); rows (N, I), matrices (K, O, I); differentiable in both."""
        groups = zip(self.split(self.sort(rows)), matrices, strict=True)
        return self.restore(torch.cat([group @ matrix.T for group, matrix in groups]))


def log_likelihood_all(residuals: Tensor, inputs: Tensor, heads: Tensor, noise: Noise) -> Tensor:
    """Return log N(r - W_k c; 0, Sigma_k), normalisers included, for every row and cluster.

    Args:
        residuals: (N, D), r: the targets less the part of the mean that clusters share.
        inputs: (N, 1 + R), c, whose first column is 1.
        heads: (K, D, 1 + R), W: the affine head of each cluster.
        noise: the noise of the targets.

    Returns:
        (K, N), nats.
    """
    parts = zip(torch.split(residuals, ROWS_AT_ONCE), torch.split(inputs, ROWS_AT_ONCE), strict=True)
    return torch.cat([noise.log_prob_all(*part, heads) for part in parts], dim=1)


def log_likelihood_of_features(
    residuals: Tensor, maps: Tensor, groups: LabelGroups, noise: Noise, weights: Tensor | None = None
) -> Callable[[Tensor], Tensor]:
    """Return the log-likelihood as a function of features f (N, F), where the mean is A_label f.

    It is a quadratic of f, whose coefficients are made here once; evaluating it, with its gradient, takes an
    F x F product a row and never sees the D channels again. Langevin calls it often between label changes.

    Args:
        residuals: (N, D), targets less the mean at f = 0.
        maps: (K, D, F), A.
        groups: the labels.
        noise: the noise of the targets.
        weights: (N,), factor of each row; a row of weight 0 contributes nothing.

    Returns:
        A function from (N, F) to (N,), nats, differentiable in its argument only.
    """
    weighted = noise.precision_times(maps)
    constants = noise.log_prob(residuals, groups)
    slopes = groups.sort(groups.multiply(residuals, weighted.transpose(1, 2)))
    curvatures = maps.transpose(1, 2) @ weighted
    if weights is not None:
        constants = constants * weights

    def evaluate(features: Tensor) -> Tensor:
        values: Tensor = _Quadratic.apply(features, slopes, curvatures, groups, weights)
        return constants + values

    return evaluate


class _Quadratic(torch.autograd.Function):
    """w (b.f - f.C f / 2) of each row f; the product with C serves the value and the gradient w (b - C f).

    Slopes b come sorted by label, features f and weights w in their own order; C is symmetric.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        slopes: Tensor,
        curvatures: Tensor,
        groups: LabelGroups,
        weights: Tensor | None,
    ) -> Tensor:
        ordered = groups.sort(features)
        parts = zip(groups.split(slopes), groups.split(ordered), curvatures, strict=True)
        gradient = torch.cat([torch.addmm(b, f, c, alpha=-1) for b, f, c in parts])
        # In place: on CPU fresh memory costs as much as the arithmetic.
        values = groups.restore((slopes + gradient).mul_(ordered).sum(1).div_(2))
        gradient = groups.restore(gradient)
        if weights is not None:
            gradient.mul_(weights[:, None])
            values.mul_(weights)
        ctx.save_for_backward(gradient)
        return values

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0][:, None], None, None, None, None


def rows(field: Tensor) -> Tensor:
    """Return a field (B, D, h, w) as rows (B * h * w, D): a view of channels-last memory, a copy of other."""
    return field.permute(0, 2, 3, 1).flatten(0, 2)


def mask_out(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return values with 0 where mask (bool) is False; without a mask the values."""
    return values if mask is None else values.where(mask, 0.0)
