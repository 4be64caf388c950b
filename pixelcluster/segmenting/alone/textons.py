"""Textons: the kinds of local texture of an image, as the means of its filter responses.

K-means starts from 32 means of photographs of all kinds, learned without labels (`textons.npy`), and moves
them on every so many pixels of the image: nothing is drawn. From a random start the labels of an image hung
on the draw.

Source: Leung, Malik, "Representing and recognizing the visual appearance of materials using
three-dimensional textons" (IJCV 2001).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Words = NDArray[np.intp]

N_TEXTONS = 32
_SAMPLE = 20_000
"""Pixels of an image that the means move on, about, where there are so many."""
_LEARNED_ON = 800
"""Pixels of each photograph that the start was learned on."""
_ITERATIONS = 10
_FILE = Path(__file__).with_name("textons.npy")


def textons(lightness: Float) -> Words:
    """Return the texton of each pixel, (H, W) in 0..31, of lightness (H, W) in [0, 1]."""
    responses = filter_bank(lightness)
    points = responses.reshape(-1, responses.shape[-1])
    means = move_means(sample(points, lightness.shape[1]), dictionary())
    return nearest(points, means).reshape(lightness.shape)


@cache
def dictionary() -> Float:
    """Return the means that K-means starts from, (32, 26) float32."""
    means: Float = np.load(_FILE, allow_pickle=False)
    return means


def learn_dictionary(lightness: Sequence[Float]) -> Float:
    """Return means (32, 26) of filter responses; scikit-learn's K-means.

    Args:
        lightness: of the photographs, each (H, W) in [0, 1].
    """
    from sklearn.cluster import KMeans

    random = np.random.default_rng(0)
    rows = []
    for image in lightness:
        responses = filter_bank(image)
        points = responses.reshape(-1, responses.shape[-1])
        rows.append(points[random.choice(len(points), min(_LEARNED_ON, len(points)), replace=False)])
    means: Float = KMeans(N_TEXTONS, n_init=3, random_state=0).fit(np.concatenate(rows)).cluster_centers_
    return means


def sample(points: Float, width: int) -> Float:
    """Return every so many of the points (H W, D) of an image, about 20,000, from all columns."""
    step = max(1, len(points) // _SAMPLE)
    while math.gcd(step, width) > 1:
        step += 1
    return points[::step]


def move_means(points: Float, start: Float) -> Float:
    """Return the means (K, D) after ten steps of K-means on points (N, D); one that is empty stays."""
    means: Float = start.copy()
    for _ in range(_ITERATIONS):
        word = nearest(points, means)
        counts = np.bincount(word, minlength=len(means))
        members = (word[None] == np.arange(len(means))[:, None]).astype(np.float32)
        filled = counts > 0
        means[filled] = (members @ points)[filled] / counts[filled, None]
    return means


def nearest(points: Float, means: Float) -> Words:
    """Return the index of the mean (K, D) that is nearest to each point (N, D), (N,)."""
    # |x - m|^2 without |x|^2, which all means share
    words: Words = ((means**2).sum(1) - 2 * points @ means.T).argmin(1)
    return words


def filter_bank(grey: Float) -> Float:
    """Even and odd oriented filters at two scales, and two differences of Gaussians.

    Args:
        grey: (H, W).

    Returns:
        (H, W, 26) responses.
    """
    responses = []
    for sigma in (1.0, 2.0):
        radius = int(np.ceil(9 * sigma))
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
        for k in range(6):
            angle = k * np.pi / 6
            across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
            bump = np.exp(-0.5 * (across / sigma) ** 2 - 0.5 * (along / (3 * sigma)) ** 2)
            for kernel in ((across**2 / sigma**2 - 1) * bump, across * bump):
                kernel = kernel - kernel.mean()
                kernel /= np.abs(kernel).sum()
                responses.append(cv2.filter2D(grey, -1, kernel, borderType=cv2.BORDER_REFLECT))
        narrow, wide = (
            cv2.GaussianBlur(grey, (0, 0), s, borderType=cv2.BORDER_REFLECT) for s in (sigma, 2 * sigma)
        )
        responses.append(narrow - wide)
    bank: Float = np.stack(responses, -1)
    return bank
