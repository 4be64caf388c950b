"""The dynamic prior of a sequence of images: labels that stay or are drawn anew, latents that drift.

    p(y_t,p = k | y_{t-1},p = j) = s [k = j] + (1 - s) pi_p(k)
    z_t | z_{t-1} ~ N(rho z_{t-1}, (1 - rho^2) I)

Both leave the prior of a single image as it is: with pi, and N(0, I), before, they are so after. Of the frame
before only the marginals q of its labels are kept; then p(y_t,p = k) = s q_p(k) + (1 - s) pi_p(k), the
prediction of the forward filter, exact where labels do not interact. The stay probability s of a frame
maximises its likelihood under that prediction, sum_p log(s A_p + (1 - s) B_p), A and B the likelihood of x_p
under q and under pi: after a cut s falls to 0 by itself, and the frame before is forgotten.

Sources: Zhu et al., Deep Unsupervised Clustering with Clustered Generator Model; forward filter: Bishop,
Pattern Recognition and Machine Learning, section 13.2.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

from pixelcluster.errors import PixelClusterError
from pixelcluster.model.prior import LabelPrior

STAY = 0.9
"""Where it cannot be estimated."""
MOST = 0.99
"""Of the stay probability: a pixel can always change, at a price."""
DRIFT = 0.9
"""rho, the correlation of the latent fields of neighbouring frames in which every label stays."""
_STEPS = 16


@dataclass(frozen=True, kw_only=True)
class DynamicPrior(LabelPrior):
    """p(y_t | y_{t-1}), the prior of a single image and what the frame before adds.

    Attributes:
        history: (K, h, w) from `log_transition`.
    """

    history: Tensor

    @classmethod
    def after(cls, prior: LabelPrior, history: Tensor) -> DynamicPrior:
        """Return the prior of a single image with a history."""
        return cls(
            **{field.name: getattr(prior, field.name) for field in fields(LabelPrior)}, history=history
        )

    def position(self, shape: tuple[int, ...]) -> Tensor:
        """Return log f_p(k) and the history together, (K, h, w).

        Raises:
            PixelClusterError: another label grid than that of the history.
        """
        if tuple(self.history.shape[1:]) != shape:
            raise PixelClusterError(
                f"the frame before has {tuple(self.history.shape[1:])} cells, this one {shape}; "
                "frames of one size are wanted"
            )
        profile = super().position(shape)
        return self.history if profile is None else self.history + profile


def log_transition(marginals: Tensor, base: Tensor, stay: float) -> Tensor:
    """Return log(s q(k) / pi(k) + 1 - s), to be added to log pi(k); 0 for pruned clusters.

    Args:
        marginals: (K, ...) q, summing to 1 over K.
        base: (K, ...) pi, summing to 1 over K; broadcast.
        stay: s in [0, 1).
    """
    ratio = marginals / base.where(base > 0, 1.0)
    return (stay * ratio + (1 - stay)).log().where(base > 0, 0.0)


def estimate_stay(marginals: Tensor, base: Tensor, log_likelihood: Tensor) -> float:
    """Return the s that makes a frame likeliest; the likelihood is concave in s, and halving finds its top.

    Args:
        marginals: (K, ...) q of the frame before.
        base: (K, ...) pi; broadcast.
        log_likelihood: (K, ...) log p(x_p | y_p = k) of this frame, up to a constant in k.

    Returns:
        s, between 0 and `MOST`.
    """
    likelihood = (log_likelihood - log_likelihood.max(0).values).exp()
    kept, drawn = (marginals * likelihood).sum(0), (base * likelihood).sum(0)
    low, high = 0.0, MOST
    for _ in range(_STEPS):
        middle = (low + high) / 2
        slope = ((kept - drawn) / (middle * kept + (1 - middle) * drawn).clamp_min(1e-30)).mean()
        low, high = (middle, high) if slope > 0 else (low, middle)
    return (low + high) / 2
