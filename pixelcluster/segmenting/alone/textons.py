"""Textons: the kinds of local texture that one dictionary, the same for all images, tells apart.

The responses r of a bank of oriented filters are compressed by Weber's law, r log(1 + |r| / 0.01) / |r|, and
a pixel is the nearest of 32 means. The means, `textons.npy`, are those of K-means over photographs of all
kinds, without labels. A dictionary learned anew on every image hung on the sample it was learned on: a grey
level of noise moved a tenth of the labels, twice as many as with this one.

Sources: Leung, Malik, "Representing and recognizing the visual appearance of materials using
three-dimensional textons" (IJCV 2001); contrast: Varma, Zisserman, "A statistical approach to texture
classification from single images" (IJCV 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

N_TEXTONS = 32
_CONTRAST = 0.01  # chosen as the constants of `hierarchy`; Varma and Zisserman have 0.03
_SAMPLE = 800
"""Pixels of an image that the dictionary is learned on."""
_FILE = Path(__file__).with_name("textons.npy")


def textons(lightness: Float) -> NDArray[np.intp]:
    """Return the texton of each pixel, (H, W) in 0..31, of lightness (H, W) in [0, 1]."""
    features = descriptors(lightness)
    means = dictionary()
    # |f - m|^2 without the part that all means share
    apart = (means**2).sum(1) - 2 * features.reshape(-1, features.shape[-1]) @ means.T
    nearest: NDArray[np.intp] = apart.argmin(1).reshape(lightness.shape)
    return nearest


@cache
def dictionary() -> Float:
    """Return the means, (32, 26) float32."""
    means: Float = np.load(_FILE, allow_pickle=False)
    return means


def learn_dictionary(lightness: Sequence[Float]) -> Float:
    """Return the means (32, 26) of a sample of each image's descriptors; scikit-learn's K-means.

    Args:
        lightness: of the images, each (H, W) in [0, 1].
    """
    from sklearn.cluster import KMeans

    random = np.random.default_rng(0)
    rows = []
    for image in lightness:
        found = descriptors(image)
        found = found.reshape(-1, found.shape[-1])
        rows.append(found[random.choice(len(found), min(_SAMPLE, len(found)), replace=False)])
    means: Float = KMeans(N_TEXTONS, n_init=3, random_state=0).fit(np.concatenate(rows)).cluster_centers_
    return means


def descriptors(lightness: Float) -> Float:
    """Return compressed filter responses (H, W, 26) of lightness (H, W) in [0, 1]."""
    bank = filter_bank(lightness)
    size = np.sqrt(np.einsum("hwc,hwc->hw", bank, bank)) + np.float32(1e-6)
    bank *= (np.log1p(size / _CONTRAST) / size)[..., None]
    return bank


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
