"""Augmented views for consistency training; the only file that imports albumentations.

albumentations is archived upstream: whoever replaces it rewrites the two private pipelines here and nothing
else. Jitter strengths are IIC's (Ji et al., ICCV 2019), see `JITTER`.
"""

from __future__ import annotations

import os
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from pixelcluster.errors import PixelClusterError

# albumentations asks PyPI for its newest version on import unless this is set.
_QUIET = "NO_ALBUMENTATIONS_UPDATE"
_before = os.environ.get(_QUIET)
os.environ[_QUIET] = "1"
try:
    import albumentations as A
finally:
    if _before is None:
        del os.environ[_QUIET]
    else:
        os.environ[_QUIET] = _before

_KEPT = (0.5, 1.0)
"""Smallest and largest share of an image's area that a crop keeps."""

JITTER = {3: (0.4, 0.4, 0.4, 0.125), 4: (0.1, 0.1, 0.1, 0.1)}
"""Strength in brightness, contrast, saturation and hue, by the channels of the image: RGB, as IIC's for
COCO-Stuff, and RGB and infrared, as its for Potsdam."""

FloatImage = npt.NDArray[np.float32]
Target = npt.NDArray[np.generic]


def consistency_pair(
    image: FloatImage,
    target: Target,
    seed: int,
) -> tuple[FloatImage, Target]:
    """Return a changed view of an image and its target seen through the same geometry.

    A network should give on the view what the target says: flip and random resized crop move both, the colour
    jitter changes the image only.

    Args:
        image: (H, W, 3) float32 RGB in [0, 1], or (H, W, 4) RGB and infrared.
        target: (H, W) integer label map (nearest) or (H, W, K) float probabilities (bilinear).
        seed: non-negative; the same seed gives the same view.

    Returns:
        View (H, W, C) float32 in [0, 1] and target (H, W) int32 or (H, W, K) float32.

    Raises:
        PixelClusterError: image or target has another shape or dtype, or a negative seed.
    """
    view, moved = geometric_view(image, target, seed)
    return photometric_view(view, seed), moved


def geometric_view(
    image: FloatImage,
    target: Target,
    seed: int,
) -> tuple[FloatImage, Target]:
    """Flip (probability .5) and crop image and target alike; arguments as `consistency_pair`."""
    _check(image, seed)
    if target.shape[:2] != image.shape[:2] or target.ndim != (2 if target.dtype.kind in "iu" else 3):
        raise PixelClusterError(
            f"target has shape {target.shape} and dtype {target.dtype} for an image of {image.shape}; "
            "wanted (H, W) integer labels or (H, W, K) float probabilities"
        )
    soft = target.dtype.kind == "f"
    pipeline = _geometry((image.shape[0], image.shape[1]), soft)
    pipeline.set_random_seed(seed)
    # One plane a cluster: OpenCV handles neither 64-bit types nor more than 128 channels.
    planes = np.moveaxis(target, -1, 0).astype(np.float32) if soft else target[None].astype(np.int32)
    moved = pipeline(image=image, masks=np.ascontiguousarray(planes))
    view, planes = np.clip(moved["image"], 0, 1), np.asarray(moved["masks"])
    return view, np.ascontiguousarray(np.moveaxis(planes, 0, -1)) if soft else planes[0]


def photometric_view(image: FloatImage, seed: int) -> FloatImage:
    """Jitter the colours of an image as strongly as `JITTER` says; infrared is left as it is.

    Args:
        image: (H, W, 3) float32 RGB in [0, 1], or (H, W, 4) RGB and infrared.
        seed: non-negative.

    Raises:
        PixelClusterError: image has another shape or dtype, or a negative seed.
    """
    _check(image, seed)
    pipeline = _photometry(image.shape[2])
    pipeline.set_random_seed(seed)
    view: FloatImage = pipeline(image=np.ascontiguousarray(image[..., :3]))["image"]
    return np.concatenate([np.clip(view, 0, 1), image[..., 3:]], axis=2)


# The pipelines are kept because building one costs as much as running it; every call seeds it anew, so that
# no state passes from one view to the next.
@lru_cache(maxsize=16)
def _geometry(size: tuple[int, int], soft: bool) -> A.Compose:
    """Return flip and random resized crop to `size`, with bilinear targets where `soft`."""
    crop = A.RandomResizedCrop(
        size=size,
        scale=_KEPT,
        ratio=(3 / 4, 4 / 3),
        interpolation=cv2.INTER_LINEAR,
        mask_interpolation=cv2.INTER_LINEAR if soft else cv2.INTER_NEAREST,
    )
    return A.Compose([A.HorizontalFlip(p=0.5), crop])


@lru_cache(maxsize=len(JITTER))
def _photometry(n_channels: int) -> A.Compose:
    """Return IIC's jitter of the RGB of images with `n_channels`."""
    brightness, contrast, saturation, hue = JITTER[n_channels]
    jitter = A.ColorJitter(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue, p=1.0)
    return A.Compose([jitter])


def _check(image: FloatImage, seed: int) -> None:
    """Refuse images and seeds that albumentations would misread."""
    if image.ndim != 3 or image.shape[2] not in JITTER or image.dtype != np.float32:
        raise PixelClusterError(
            f"image has shape {image.shape} and dtype {image.dtype}, wanted (H, W, 3 or 4) float32 in [0, 1]"
        )
    if seed < 0:
        raise PixelClusterError(f"seed must not be negative, got {seed}")
