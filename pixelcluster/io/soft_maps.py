"""Probabilities and entropy on disk."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.io.label_map import png_note


def encode_probabilities(path: Path, probabilities: NDArray[np.float32]) -> None:
    """Write probabilities as NPZ (wrap in `atomic_write` for the final name).

    Args:
        path: where the bytes go.
        probabilities: (K, H, W); read back with ``numpy.load(path)["probabilities"]``.
    """
    with path.open("wb") as handle:
        np.savez_compressed(handle, probabilities=probabilities)


def encode_entropy(path: Path, entropy: NDArray[np.float32], n_clusters: int) -> None:
    """Write entropy as a 16-bit grey PNG: 0 is certain, 65535 is ln K nats, every cluster equally likely.

    Args:
        path: where the bytes go.
        entropy: (H, W) in nats, from 0 to ln K.
        n_clusters: K; the scale does not depend on the image, so pictures of one K compare.
    """
    largest = math.log(max(n_clusters, 2))
    grey = (entropy / largest * 65535).round().clip(0, 65535).astype(np.uint16)
    note = png_note(f"entropy of {n_clusters} cluster probabilities: grey / 65535 * {largest:.6f} nats")
    Image.fromarray(grey).save(path, "PNG", pnginfo=note)
