"""The prior on the label map: proportions x position x per-image proportions x Potts, each part switchable.

    p(y, theta) = Dir(theta; alpha N pi) prod_p theta_{y_p} f_p(y_p) exp(beta sum_{p~q} w_pq [y_p = y_q]) / Z
    f_p(k) = p(k | row of p) / pi_k

theta, the proportions of one image, is integrated out exactly by augmentation: theta given y is Dirichlet,
and labels given theta do not see each other through it. N is the number of unmasked cells: alpha is a
pseudo-count as a fraction of the image and means the same at every resolution. Without alpha theta is pi.

Sources: Dirichlet-multinomial augmentation, Tanner and Wong, JASA 1987; Potts on 8 neighbours with contrast,
Boykov and Jolly, ICCV 2001.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.graph import Graph


@dataclass(frozen=True)
class LabelPrior:
    """p(y), a container of tensors; None or 0 switches a part off.

    Attributes:
        proportions: (K,) pi, sums to 1; a cluster of proportion 0 is pruned and never drawn.
        rows: (n_rows, K) p(k | row), top to bottom, each row sums to 1; interpolated to the label grid.
        concentration: alpha, pseudo-count of pi in an image's own proportions as a fraction of its cells.
        potts_weight: beta, nats an edge of weight 1 gives to equal labels.
        contrast: scale c of the Potts weights for `PixelGrid`; None: edges of the image make no difference.
    """

    proportions: Tensor
    rows: Tensor | None = None
    concentration: float | None = None
    potts_weight: float = 0.0
    contrast: float | None = None

    def __post_init__(self) -> None:
        """Refuse values no prior has.

        Raises:
            PixelClusterError: a shape or a number out of range.
        """
        if self.proportions.ndim != 1 or self.proportions.min() < 0 or abs(self.proportions.sum() - 1) > 1e-3:
            raise PixelClusterError(
                "proportions must be (K,), non-negative and sum to 1; divide by their sum"
            )
        if self.rows is not None and self.rows.shape[1:] != self.proportions.shape:
            raise PixelClusterError(
                f"rows have shape {tuple(self.rows.shape)}, wanted (n_rows, {self.n_clusters})"
            )
        for name, value in (("concentration", self.concentration), ("contrast", self.contrast)):
            if value is not None and not value > 0:
                raise PixelClusterError(
                    f"{name} is {value}, wanted a positive number, or None to switch it off"
                )
        if self.potts_weight < 0:
            raise PixelClusterError(f"potts_weight is {self.potts_weight}, wanted 0 or more")

    @property
    def n_clusters(self) -> int:
        """K."""
        return len(self.proportions)

    def unary(self, height: int, width: int) -> Tensor:
        """Return log pi_k + log f_p(k), (K, h, w): the prior of a cell of an unseen image."""
        position = self.position((height, width))
        logs = self.proportions.log()[:, None, None]
        return (logs if position is None else logs + position).expand(-1, height, width)

    def position(self, shape: tuple[int, ...]) -> Tensor | None:
        """Return log f_p(k), (K, h, 1) for a shape (h, w), 0 for pruned clusters; None without a row table.

        Raises:
            PixelClusterError: there is a row table, but the cells are no grid.
        """
        if self.rows is None:
            return None
        if len(shape) != 2:
            raise PixelClusterError(
                f"a row table needs a label grid, got cells of shape {shape}; set rows=None"
            )
        profile = torch.nn.functional.interpolate(self.rows.T[None], size=shape[0], mode="linear")[0]
        log_ratio = profile.log() - self.proportions.log()[:, None]
        log_ratio = log_ratio.where(self.proportions[:, None] > 0, 0.0)
        return log_ratio[:, :, None]

    def posterior_concentration(self, counts: Tensor) -> Tensor | None:
        """Return the Dirichlet parameter (B, K) of theta given label counts (B, K); None if theta is pi."""
        if self.concentration is None:
            return None
        n_cells = counts.sum(1, keepdim=True).clamp_min(1)  # a wholly masked image has the prior itself
        return counts + self.concentration * n_cells * self.proportions


def label_counts(label_map: Tensor, n_clusters: int, mask: Tensor | None = None) -> Tensor:
    """Return the unmasked cells of each cluster, (B, K) float, of a label map (B, ...) int64."""
    flat = label_map.flatten(1)
    weights = torch.ones(flat.shape, device=flat.device) if mask is None else mask.flatten(1).float()
    return weights.new_zeros(len(flat), n_clusters).scatter_add_(1, flat, weights)


def log_prior(label_map: Tensor, prior: LabelPrior, graph: Graph, mask: Tensor | None = None) -> Tensor:
    """Return log p(y) with theta integrated out, up to the Potts normaliser, (B,), nats.

    Args:
        label_map: (B, *graph.shape) int64.
        prior: the prior.
        graph: neighbours of the Potts part; its weights of masked cells are expected to be 0.
        mask: (B, *graph.shape) bool; cells where it is False contribute nothing.
    """
    kept = torch.ones_like(label_map, dtype=torch.bool) if mask is None else mask
    counts = label_counts(label_map, prior.n_clusters, kept)
    total = _log_proportions_marginal(counts, prior)
    position = prior.position(graph.shape)
    if position is not None:
        at_labels = position.expand(len(label_map), -1, *graph.shape).gather(1, label_map[:, None])[:, 0]
        total = total + (at_labels * kept).flatten(1).sum(1)
    if prior.potts_weight:
        for colour, cells in enumerate(graph.colours):
            votes = graph.votes(label_map, colour, prior.n_clusters)
            own = votes.gather(1, label_map[:, None][cells])
            # Each edge is seen from both ends.
            total = total + prior.potts_weight * own.flatten(1).sum(1) / 2
    return total


def estimate_proportions(counts: Tensor, pseudo_count: float = 0.0) -> Tensor:
    """Return pi, (K,), the posterior mode given cluster counts under Dirichlet(1 + pseudo_count).

    Args:
        counts: (K,) hard or expected counts, in cells.
        pseudo_count: added to every count; a negative one prunes clusters of fewer cells (a sparse prior).

    Raises:
        PixelClusterError: every cluster is pruned.
    """
    kept = (counts + pseudo_count).clamp_min(0.0)
    if not kept.sum() > 0:
        raise PixelClusterError(f"pseudo_count {pseudo_count} prunes every cluster; use one nearer to 0")
    return kept / kept.sum()


def sparse_proportions(counts: Tensor, sparsity: float) -> Tensor:
    """Return pi, (K,), where clusters of less than a share of all counts are pruned.

    Args:
        counts: (K,), see `estimate_proportions`.
        sparsity: the share; half a balanced one where that is smaller, so that balanced clusters stay.
    """
    share = min(sparsity, 0.5 / len(counts))
    return estimate_proportions(counts, -share * float(counts.sum()))


def row_counts(probabilities: Tensor, n_rows: int, mask: Tensor | None = None) -> Tensor:
    """Return expected counts of each cluster in horizontal bands, (n_rows, K), from (B, K, h, w)."""
    weighted = probabilities if mask is None else probabilities * mask[:, None]
    height = probabilities.shape[2]
    band = torch.arange(height, device=probabilities.device) * n_rows // height
    counts = probabilities.new_zeros(n_rows, probabilities.shape[1])
    return counts.index_add_(0, band, weighted.sum((0, 3)).T)


def estimate_rows(
    counts: Tensor, proportions: Tensor, pseudo_count: float = 1.0, smoothing: float = 1.0
) -> Tensor:
    """Return p(k | row), (n_rows, K), from counts smoothed over rows and shrunk towards pi.

    Args:
        counts: (n_rows, K) from `row_counts`, summed over images.
        proportions: (K,) pi.
        pseudo_count: cells of pi added to every row.
        smoothing: standard deviation of the Gaussian over rows, in rows; 0: none.
    """
    index = torch.arange(len(counts), dtype=counts.dtype, device=counts.device)
    distance = (index[:, None] - index).abs()
    kernel = (-(distance**2) / (2 * max(smoothing, 1e-3) ** 2)).exp()
    smooth = kernel @ (counts * (proportions > 0)) + pseudo_count * proportions
    return smooth / smooth.sum(1, keepdim=True)


def _log_proportions_marginal(counts: Tensor, prior: LabelPrior) -> Tensor:
    """Return the log probability of the counts' labels with theta integrated out, (B,)."""
    if prior.concentration is None:
        # A pruned cluster without cells contributes nothing.
        logs: Tensor = torch.special.xlogy(counts, prior.proportions).sum(1)
        return logs
    cells = counts.sum(1)
    alpha = prior.concentration * cells.clamp_min(1)
    start = alpha[:, None] * prior.proportions
    ratios = (start + counts).lgamma() - start.lgamma()
    return alpha.lgamma() - (alpha + cells).lgamma() + ratios.where(counts > 0, 0.0).sum(1)
