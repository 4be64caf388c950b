"""Target stack `patches`: a dictionary of whitened patches learned on the training images.

Patches are contrast-normalised and ZCA-whitened, the dictionary is learned by spherical K-means, a pixel is
coded by the triangle activation, codes are averaged over label cells and windows of cells, at several scales,
and compared by Hellinger distance.

Source: Coates, Lee, Ng, An analysis of single-layer networks in unsupervised feature learning, AISTATS 2011;
Coates, Ng, Learning feature representations with K-means, 2012.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from pixelcluster.errors import PixelClusterError
from pixelcluster.progress import Progress
from pixelcluster.targets.base import LinearStack
from pixelcluster.targets.grid import cells_used, grid_shape, to_grid
from pixelcluster.targets.linear_maps import principal_components

_N_PATCHES = 60_000
_N_ROUNDS = 15
_CONTRAST = (
    10 / 255
) ** 2  # added to the variance of a patch: flat patches stay flat (Coates: 10 for 8-bit values)
_ZCA = 0.1  # added to the eigenvalues of normalised patches (Coates)
_STRIP = 1 << 16  # pixels coded at once, to bound memory


class PatchStack(LinearStack):
    """Pooled triangle codes over a learned dictionary, reduced to their principal components.

    Args:
        label_stride: pixels a label cell and axis.
        n_atoms: atoms of the dictionary.
        patch_size: side of a patch, pixels.
        scales: factors by which the image is shrunk before coding; one dictionary serves all.
        windows: sides, in label cells and odd, of the windows over which codes are averaged; all are joined.
        n_components: D at most.
    """

    atoms: Tensor
    whitening: Tensor
    patch_mean: Tensor

    def __init__(
        self,
        label_stride: int,
        *,
        n_atoms: int = 200,
        patch_size: int = 6,
        scales: Sequence[int] = (1, 2, 4),
        windows: Sequence[int] = (1,),
        n_components: int = 32,
    ) -> None:
        if min(n_atoms, patch_size, *scales) < 1 or any(window % 2 == 0 or window < 1 for window in windows):
            raise PixelClusterError(
                "patches want n_atoms, patch_size and scales of 1 or more and odd windows, got "
                f"{n_atoms}, {patch_size}, {tuple(scales)}, {tuple(windows)}"
            )
        super().__init__(n_atoms * len(scales) * len(windows), n_components, label_stride)
        self.patch_size, self.scales, self.windows = patch_size, tuple(scales), tuple(windows)
        size = 3 * patch_size**2
        self.register_buffer("atoms", torch.zeros(n_atoms, size))
        self.register_buffer("whitening", torch.zeros(size, size))
        self.register_buffer("patch_mean", torch.zeros(size))

    def learn(
        self,
        images: Sequence[Tensor],
        masks: Sequence[Tensor] | None,
        *,
        seed: int,
        deadline: float,
        progress: Progress,
    ) -> Iterable[Tensor]:
        """Learn whitening and dictionary on patches drawn from all images and scales."""
        random = torch.Generator().manual_seed(seed)
        share = -(-_N_PATCHES // (len(images) * len(self.scales)))
        drawn = []
        for index in range(len(images)):
            mask = (
                torch.ones(images[index].shape[1:], dtype=torch.bool) if masks is None else masks[index].cpu()
            )
            for scale in self.scales:
                patches = self._patches(to_grid(images[index][None].to(self.mean.device), scale))[0].T
                used = cells_used(mask, scale).flatten().nonzero()[:, 0]
                drawn.append(patches[used[torch.randperm(len(used), generator=random)[:share]]])
        patches = torch.cat(drawn)
        if len(patches) < 2:
            raise PixelClusterError("no pixel is used by the masks; give masks with more pixels, or none")
        self.patch_mean.copy_(patches.mean(0))
        self.whitening.copy_(zca(patches - self.patch_mean))
        self.atoms.copy_(spherical_kmeans(self._whiten(patches), len(self.atoms), random))
        return super().learn(images, masks, seed=seed, deadline=deadline, progress=progress)

    def raw(self, images: Tensor) -> Tensor:
        """Return pooled codes (B, atoms x scales x windows, h, w)."""
        shape = grid_shape(images.shape[2], images.shape[3], self.label_stride)
        joined = []
        for scale in self.scales:
            codes = self._pooled(to_grid(images, scale), max(self.label_stride // scale, 1))
            if codes.shape[2:] != shape:
                codes = functional.interpolate(codes, size=shape, mode="bilinear", align_corners=False)
            joined += [unit_root(box_mean(codes, window)) for window in self.windows]
        return torch.cat(joined, 1)

    def linear_map(self, covariance: Tensor) -> Tensor:
        """Return the leading principal components on one scale."""
        return principal_components(covariance, self.n_channels)

    def _pooled(self, images: Tensor, stride: int) -> Tensor:
        """Return codes (B, atoms, ceil(H / stride), ceil(W / stride)), a strip of rows at a time."""
        width = images.shape[3]
        padded = _pad(images, self.patch_size)
        rows = max(_STRIP // (width * len(images)) // stride, 1) * stride
        strips = []
        for top in range(0, images.shape[2], rows):
            height = min(rows, images.shape[2] - top)
            patches = self._normalised(padded[:, :, top : top + height + self.patch_size - 1])
            codes = triangle_code(self._whiten(patches.transpose(1, 2)), self.atoms)
            strips.append(to_grid(codes.transpose(1, 2).reshape(len(images), -1, height, width), stride))
        return torch.cat(strips, 2)

    def _patches(self, images: Tensor) -> Tensor:
        """Return the normalised patch around each pixel, (B, 3 p p, H W); edges are repeated."""
        return self._normalised(_pad(images, self.patch_size))

    def _normalised(self, padded: Tensor) -> Tensor:
        """Return patches (B, 3 p p, P) of a padded image, each with mean 0 and about unit contrast."""
        patches = functional.unfold(padded, self.patch_size)
        patches = patches - patches.mean(1, keepdim=True)
        return patches / (patches.square().mean(1, keepdim=True) + _CONTRAST).sqrt()

    def _whiten(self, patches: Tensor) -> Tensor:
        """Return whitened patches (..., 3 p p)."""
        return (patches - self.patch_mean) @ self.whitening


def _pad(images: Tensor, size: int) -> Tensor:
    """Repeat the edges so that each pixel has a patch."""
    before, after = (size - 1) // 2, size // 2
    return functional.pad(images, (before, after, before, after), mode="replicate")


def zca(centred: Tensor) -> Tensor:
    """Return the symmetric whitening matrix (n, n) of centred rows (P, n)."""
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    whitening: Tensor = (vectors * (values.clamp(min=0) + _ZCA).rsqrt()) @ vectors.T
    return whitening


def spherical_kmeans(rows: Tensor, n_atoms: int, random: torch.Generator) -> Tensor:
    """Return unit-length atoms (n_atoms, n), each along the damped sum of the rows (P, n) it explains best.

    Args:
        rows: whitened patches.
        n_atoms: size of the dictionary.
        random: CPU generator of the start.
    """
    atoms = torch.randn(n_atoms, rows.shape[1], generator=random).to(rows)
    atoms = functional.normalize(atoms, dim=1)
    for _ in range(_N_ROUNDS):
        # A row is explained by one atom times a scalar; the old atom is added as damping (Coates, Ng).
        similarity = rows @ atoms.T
        chosen = similarity.abs().argmax(1)
        weight = similarity.gather(1, chosen[:, None])
        atoms = functional.normalize(atoms.index_add(0, chosen, rows * weight), dim=1)
    return atoms


def triangle_code(rows: Tensor, atoms: Tensor) -> Tensor:
    """Return max(0, mean distance - distance to each atom), (B, P, atoms), of whitened rows (B, P, n)."""
    squared = rows.square().sum(-1, keepdim=True) + 1 - 2 * rows @ atoms.T
    distance = squared.clamp(min=0).sqrt()
    return (distance.mean(-1, keepdim=True) - distance).clamp(min=0)


def unit_root(codes: Tensor) -> Tensor:
    """Return square roots of codes (B, C, h, w), of length 1 over channels: distance becomes Hellinger's.

    Frequent atoms no longer outweigh rare ones, and all scales and windows weigh equally.
    """
    return functional.normalize(codes.sqrt(), dim=1)


def box_mean(values: Tensor, window: int) -> Tensor:
    """Return means (B, C, h, w) over square windows of cells; at the edges over the cells there are."""
    if window == 1:
        return values
    return functional.avg_pool2d(values, window, stride=1, padding=window // 2, count_include_pad=False)
