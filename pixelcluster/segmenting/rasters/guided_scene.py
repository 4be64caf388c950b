"""Clusters of a raster that agree with strokes: the mixture of `scene`, its components given to classes.

A component takes the class most of the marked pixels it explains name; those that lie far out in it it does
not explain, it is only the nearest there is. A class that wins none gets a component of its own, fitted to
the pixels under its strokes, whose covariance is shrunk towards that of the others. The components of one
class are one cluster, a mixture of Gaussians.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2
from torch import Tensor

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.raster import Raster
from pixelcluster.io.raster_scribbles import RasterScribbles
from pixelcluster.segmenting.alone.heads import NOISE_FLOOR
from pixelcluster.segmenting.rasters.scene import Scene, log_evidence, make_scene

_MARKED = 20_000
"""Pixels of a class that are looked at."""
_EXPLAINED = 0.99
"""Share of a component's own pixels among which half of a class's must lie, if it is to speak for it."""


def guide_scene(
    scene: Scene, raster: Raster, scribbles: RasterScribbles, n_clusters: int | None, *, seed: int = 0
) -> Scene:
    """Bring the clusters of a scene into agreement with strokes.

    Args:
        scene: fitted to the raster; every component is a cluster.
        raster: open.
        scribbles: on it.
        n_clusters: no more than this many; None: any number.
        seed: of the sample of marked pixels.

    Returns:
        A scene whose cluster ids are the classes of the strokes; components without strokes have the ids
        that are free, the largest component first.

    Raises:
        PixelClusterError: more classes than clusters, or strokes on pixels without data alone.
    """
    marked = _marked_channels(scene, raster, scribbles, np.random.default_rng(seed))
    classes = sorted(marked)
    if not classes:
        raise PixelClusterError(f"{raster.name}: all scribbles lie where the raster has no data; move them")
    if n_clusters is not None and len(classes) > n_clusters:
        raise PixelClusterError(
            f"the scribbles name {len(classes)} classes, but {n_clusters} clusters were asked for; raise -k"
        )
    votes = np.stack([_votes(scene, marked[c]) for c in classes], 1)  # (M, C)
    won = [classes[int(row.argmax())] if row.any() else None for row in votes]
    carved = [c for c in classes if c not in won]
    unmarked = [i for i, c in enumerate(won) if c is None]  # in order of decreasing proportion
    if n_clusters is not None:
        unmarked = unmarked[: n_clusters - len(classes)]
    kept = [i for i, c in enumerate(won) if c is not None or i in unmarked]
    free = iter(i for i in range(len(classes) + len(kept)) if i not in classes)
    ids = [next(free) if (c := won[i]) is None else c for i in kept] + carved
    mean, whitener, proportions = scene.mean[kept], scene.whitener[kept], scene.proportions[kept]
    if carved:
        pooled = _pooled_covariance(scene)
        fits = [_fit(marked[c], pooled) for c in carved]
        mean = torch.cat([mean, torch.stack([part for part, _ in fits])])
        whitener = torch.cat([whitener, torch.stack([part for _, part in fits])])
        # Nothing tells how much of the scene is like the strokes: an even share.
        even = torch.full((len(carved),), 1 / len(ids))
        proportions = torch.cat([proportions, even])
    names, groups = np.unique(ids, return_inverse=True)
    proportions = proportions / proportions.sum()
    return make_scene(
        scene.project, proportions, mean, whitener, tuple(groups.tolist()), tuple(names.tolist())
    )


def _marked_channels(
    scene: Scene, raster: Raster, scribbles: RasterScribbles, rng: np.random.Generator
) -> dict[int, Tensor]:
    """Return channels (n, C) of marked pixels of each class, at most about `_MARKED`."""
    found: dict[int, list[NDArray[np.float32]]] = {}
    for rows, columns, marks in scribbles.windows():
        values, valid = raster.read(rows, columns)
        for c in np.unique(marks[valid & (marks >= 0)]).tolist():
            parts = found.setdefault(c, [])
            parts.append(values[valid & (marks == c)])
            if sum(map(len, parts)) > 2 * _MARKED:
                together = np.concatenate(parts)
                parts[:] = [together[rng.choice(len(together), _MARKED, replace=False)]]
    return {
        c: torch.from_numpy(np.ascontiguousarray(scene.project(np.concatenate(parts))))
        for c, parts in found.items()
    }


def _votes(scene: Scene, channels: Tensor) -> NDArray[np.int64]:
    """Return how many of the pixels (n, C) of one class each component explains, (M,)."""
    best = log_evidence(scene, channels[:, None])[..., 0].argmax(0)
    limit = chi2.ppf(_EXPLAINED, channels.shape[-1])
    votes = np.zeros(len(scene.mean), np.int64)
    for i in np.unique(best.numpy()).tolist():
        nearest = channels[best == i]
        distance = ((nearest - scene.mean[i]) @ scene.whitener[i]).square().sum(-1)
        votes[i] = len(nearest) if distance.median() <= limit else 0
    return votes


def _pooled_covariance(scene: Scene) -> Tensor:
    """Return the average covariance (C, C) within the components."""
    covariance = (scene.whitener @ scene.whitener.transpose(1, 2)).inverse()
    return (scene.proportions[:, None, None] * covariance).sum(0)


def _fit(channels: Tensor, pooled: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (C,) and whitener (C, C) of pixels (n, C)."""
    mean = channels.mean(0)
    centred = channels - mean
    weight = 2 * len(mean)
    covariance = (centred.T @ centred + weight * pooled) / (len(channels) + weight)
    covariance += NOISE_FLOOR * torch.eye(len(mean))
    precision: Tensor = torch.linalg.cholesky(covariance.inverse())
    return mean, precision
