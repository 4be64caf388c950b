"""Linear maps of raw channels from their mean and covariance: scaling, principal components."""

from __future__ import annotations

import torch
from torch import Tensor

from pixelcluster.errors import PixelClusterError

# A channel whose spread is below this share of the largest one is constant; its noise is not blown up.
_CONSTANT = 1e-3


class Moments:
    """Mean and covariance of rows that arrive in parts, summed in float64; products in their own type.

    Args:
        n_channels: C.
    """

    def __init__(self, n_channels: int) -> None:
        self.n_rows = 0
        self._shift = torch.zeros(n_channels, dtype=torch.float64)
        self._sum = torch.zeros(n_channels, dtype=torch.float64)
        self._products = torch.zeros(n_channels, n_channels, dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        """Take in rows (P, C)."""
        rows = rows.cpu()
        if self.n_rows == 0 and len(rows):
            # Keeps the subtraction in `covariance`, and the products, well-conditioned.
            self._shift = rows.mean(0).double()
        rows = rows - self._shift.to(rows.dtype)
        self.n_rows += len(rows)
        self._sum += rows.sum(0, dtype=torch.float64)
        self._products += rows.T @ rows

    def mean(self) -> Tensor:
        """Return the mean (C,).

        Raises:
            PixelClusterError: no row came.
        """
        if self.n_rows == 0:
            raise PixelClusterError(
                "no label cell is used by the masks; give masks with more pixels, or none"
            )
        return self._shift + self._sum / self.n_rows

    def covariance(self) -> Tensor:
        """Return the covariance (C, C), divided by the number of rows."""
        offset = self._sum / max(self.n_rows, 1)
        return self._products / max(self.n_rows, 1) - torch.outer(offset, offset)


def common_scale(covariance: Tensor) -> Tensor:
    """Return the map (C, C) that divides all channels by one number, so that their mean variance is 1."""
    variance = covariance.diagonal().mean()
    return torch.eye(len(covariance), dtype=covariance.dtype) * _inverse_root(variance)


def standardise(covariance: Tensor) -> Tensor:
    """Return the map (C, C) that gives each channel variance 1 (a constant channel stays about constant)."""
    variance = covariance.diagonal()
    return torch.diag(_inverse_root(variance.clamp(min=float(variance.max()) * _CONSTANT**2)))


def principal_components(covariance: Tensor, n_components: int) -> Tensor:
    """Return the map (n, C) to the leading principal components, divided by one number: mean variance 1.

    Components keep their relative variances: whitening them one by one raises noise and costs accuracy.
    """
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values[-n_components:].flip(0), vectors[:, -n_components:].flip(1)
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    components: Tensor = (vectors * largest.sign()).T * _inverse_root(values.mean())
    return components


def _inverse_root(variance: Tensor) -> Tensor:
    """Return 1 / sqrt(variance), 1 where it is zero but for rounding (of Lab, in single precision)."""
    return torch.where(variance > 1e-9, variance.clamp(min=1e-9).rsqrt(), torch.ones_like(variance))
