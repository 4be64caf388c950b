"""Boundary strength of an image, and the atoms (watershed basins) it leaves.

Strength is the chi-square distance between the codes of the two halves of a disc, at eight orientations and
several radii, summed over colour and texture with fixed weights; it acts as the contrast of the Potts prior
between neighbouring atoms.

Source: Martin, Fowlkes, Malik (TPAMI 2004); Arbelaez, Maire, Fowlkes, Malik, "Contour detection and
hierarchical image segmentation" (TPAMI 2011), here without learned detectors, at half resolution, and with
each half-disc sum taken from blurred codes at seven points of a ring, so that the cost does not grow with
the radius.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pixelcluster.segmenting.alone.evidence import Evidence, Float, shrink

N_ORIENTATIONS = 8
MAX_ATOMS = 2000
_WORKERS = 2

# (part of the stack, radius in cells, on the half grid?, weight). Parts 0-2 are the channels, 3 the texture.
CUES = (
    (0, 2.5, False, 0.267), (0, 5.0, False, 0.267), (0, 5.0, True, 0.445),
    (1, 2.5, False, 0.445), (1, 5.0, False, 0.356), (1, 5.0, True, 0.356),
    (2, 2.5, False, 0.445), (2, 5.0, False, 0.356), (2, 5.0, True, 0.356),
    (3, 5.0, False, 0.267), (3, 5.0, True, 0.712),
)  # fmt: skip
TEXTURE_FADES = 1.6
"""Strength at which a cell's texture no longer counts: it is that of the boundary, not of either side."""
_LEAST_TEXTURE = 0.05
_LEVELS = 1024.0  # strengths are rounded to this: differences below it are noise, and plateaus stay flat


def half_disc_contrast(codes: Float, radius: float) -> Float:
    """Chi-square distance between the mean codes of two half discs.

    Args:
        codes: (n, h, w) soft codes.
        radius: of the disc, in cells.

    Returns:
        (8, h, w) float32 in [0, 1]; the normal of orientation t points to angle t * pi / 8.
    """
    _, height, width = codes.shape
    pad = int(np.ceil(radius)) + 1
    blur = max(0.33 * radius, 0.5)
    blurred = np.stack([
        cv2.copyMakeBorder(
            cv2.GaussianBlur(plane, (0, 0), blur, borderType=cv2.BORDER_REFLECT),
            pad, pad, pad, pad, cv2.BORDER_REFLECT,
        )
        for plane in codes
    ])  # fmt: skip
    n_ring = 2 * N_ORIENTATIONS
    ring = []
    for t in range(n_ring):
        angle = t * np.pi / N_ORIENTATIONS
        dy, dx = pad + round(np.sin(angle) * radius * 0.62), pad + round(np.cos(angle) * radius * 0.62)
        ring.append(blurred[:, dy : dy + height, dx : dx + width])
    reach = 3  # a half disc is the seven ring points within 67.5 degrees of its direction
    half = ring[-reach].copy()
    for t in range(-reach + 1, reach + 1):
        half += ring[t]
    halves = [half]
    for t in range(1, n_ring):
        half = half + ring[(t + reach) % n_ring]
        half -= ring[(t - reach - 1) % n_ring]
        halves.append(half)
    contrast = np.empty((N_ORIENTATIONS, height, width), dtype=np.float32)
    for t in range(N_ORIENTATIONS):
        first, second = halves[t], halves[t + N_ORIENTATIONS]
        total = first + second
        total += 1e-6
        difference = first - second
        difference *= difference
        difference /= total
        contrast[t] = difference.sum(0) * (0.5 / (2 * reach + 1))
    return contrast


def boundary_strength(evidence: Evidence) -> Float:
    """Sum the contrasts of all cues and take the strongest orientation.

    Args:
        evidence: the target stack.

    Returns:
        (h, w) float32, 0 where nothing changes, about 1 on a clear edge.
    """
    height, width = evidence.shape
    half = ((height + 1) // 2, (width + 1) // 2)
    parts = (*evidence.channel_codes, evidence.texture_codes)

    def one(cue: tuple[int, float, bool, float]) -> Float:
        part, radius, coarse, weight = cue
        if not coarse:
            fine: Float = half_disc_contrast(parts[part], radius) * np.float32(weight)
            return fine
        small = half_disc_contrast(np.stack([shrink(plane, half) for plane in parts[part]]), radius)
        small *= np.float32(weight)
        grown: Float = np.stack(
            [cv2.resize(e, (width, height), interpolation=cv2.INTER_LINEAR) for e in small]
        )
        return grown

    with ThreadPoolExecutor(_WORKERS) as pool:
        contrasts = list(pool.map(one, CUES))
    total = contrasts[0]
    for contrast in contrasts[1:]:  # always in this order: floating-point sums depend on it
        total += contrast
    smooth = np.stack([cv2.GaussianBlur(e, (0, 0), 0.5, borderType=cv2.BORDER_REFLECT) for e in total])
    return _rounded(smooth.max(0))


def watershed_atoms(strength: Float, *, max_atoms: int = MAX_ATOMS) -> NDArray[np.intp]:
    """Basins of the strength: every cell drains to its lowest 8-neighbour.

    Args:
        strength: (h, w).
        max_atoms: the strength is blurred until there are at most this many.

    Returns:
        (h, w) labels 0..n-1; flat plateaus without an exit are one basin.
    """
    relief, sigma = strength, 0.5
    while True:
        atoms = _basins(relief)
        if atoms.max() < max_atoms:
            return atoms
        sigma *= 1.5
        blurred = cv2.GaussianBlur(strength, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        relief = _rounded(blurred.astype(np.float32, copy=False))


def find_basins(evidence: Evidence) -> tuple[Evidence, Float, NDArray[np.intp]]:
    """Return the evidence with its texture faded where boundaries are, boundary strength (h, w), and basins.

    In a thing that is narrower than the filters all texture is that of its edges, and turns as they turn.
    """
    strength = boundary_strength(evidence)
    counts = (1 - strength / np.float32(TEXTURE_FADES)).clip(_LEAST_TEXTURE, 1)
    faded = replace(evidence, texture_codes=evidence.texture_codes * counts)
    return faded, strength, watershed_atoms(strength)


def region_graph(
    labels: NDArray[np.intp], strength: Float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Pairs of 4-adjacent regions with the length and the summed strength of their frontier.

    Args:
        labels: (h, w) region ids.
        strength: (h, w); a frontier between two cells has the larger of theirs.

    Returns:
        (first, second, length, total strength), each (n_pairs,), first < second.
    """
    n = int(labels.max()) + 1
    before = np.concatenate([labels[:, :-1].ravel(), labels[:-1].ravel()])
    after = np.concatenate([labels[:, 1:].ravel(), labels[1:].ravel()])
    across = np.concatenate(
        [
            np.maximum(strength[:, :-1], strength[:, 1:]).ravel(),
            np.maximum(strength[:-1], strength[1:]).ravel(),
        ]
    )
    differ = before != after
    before, after, across = before[differ], after[differ], across[differ]
    keys = np.minimum(before, after) * n + np.maximum(before, after)
    pairs, inverse, length = np.unique(keys, return_inverse=True, return_counts=True)
    total = np.bincount(inverse, across, len(pairs)).astype(np.float64)
    return pairs // n, pairs % n, length.astype(np.float64), total


def _rounded(strength: Float) -> Float:
    rounded: Float = (np.round(strength * _LEVELS) / _LEVELS).astype(np.float32)
    return rounded


def _basins(relief: Float) -> NDArray[np.intp]:
    height, width = relief.shape
    cells = np.arange(height * width).reshape(height, width)
    padded = np.pad(relief, 1, constant_values=np.inf)
    lowest, target = relief.copy(), cells.copy()
    for dy, dx in _neighbours():
        value = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        lower = value < lowest
        lowest = np.where(lower, value, lowest)
        target[lower] = cells[lower] + dy * width + dx
    target = _join_plateaus(relief, target == cells, target.ravel())
    while True:  # pointer jumping: paths halve in length each round
        further = target[target]
        if np.array_equal(further, target):
            break
        target = further
    return np.unique(target, return_inverse=True)[1].reshape(height, width)


def _join_plateaus(relief: Float, bottom: NDArray[np.bool_], target: NDArray[np.intp]) -> NDArray[np.intp]:
    """Point every cell of a flat bottom to one cell of it."""
    height, width = relief.shape
    cells = np.arange(height * width).reshape(height, width)
    ends: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    for dy, dx in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(dy, height), slice(max(0, dx), width - max(0, -dx)))
        flat = bottom[here] & bottom[there] & (relief[here] == relief[there])
        ends.append((cells[here][flat], cells[there][flat]))
    first, second = (np.concatenate(side) for side in zip(*ends, strict=True))
    if not len(first):
        return target
    links = coo_matrix((np.ones(len(first), dtype=np.int8), (first, second)), shape=(cells.size, cells.size))
    component = connected_components(links, directed=False)[1]
    _, representative = np.unique(component, return_index=True)
    flat_bottom = bottom.ravel()
    joined: NDArray[np.intp] = np.where(flat_bottom, representative[component], target)
    return joined


def _neighbours() -> Sequence[tuple[int, int]]:
    return [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
