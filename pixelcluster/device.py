"""Where to compute."""

from __future__ import annotations

import torch

from pixelcluster.errors import PixelClusterError


def choose_device(name: str) -> torch.device:
    """Return the device for "auto" (CUDA where there is one), "cpu" or "cuda".

    Raises:
        PixelClusterError: an unknown name, or CUDA where there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise PixelClusterError(f"device is {name!r}; wanted auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise PixelClusterError("no CUDA device was found; use --device cpu or auto")
    return torch.device(name)
