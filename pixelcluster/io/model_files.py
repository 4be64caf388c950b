"""What a model folder holds tells its kind: a model of pixels, or one of whole images."""

from __future__ import annotations

import os
from pathlib import Path

from pixelcluster.errors import PixelClusterError, show_path

PIXELS, IMAGES = "config.yaml", "cluster.yaml"
"""Settings of a model of `pixelcluster train`, and of `pixelcluster cluster`."""

_KINDS = {
    PIXELS: "a model of pixels (of pixelcluster train); use it with segment --model, name, merge or export",
    IMAGES: "a model of whole images (of pixelcluster cluster); use it with cluster --predict or generate",
}


def refuse_other_kind(folder: str | os.PathLike[str], wanted: str) -> None:
    """Refuse a model folder of the other kind by saying what it is.

    Args:
        folder: a model folder, or anything else.
        wanted: `PIXELS` or `IMAGES`.

    Raises:
        PixelClusterError: it is the other kind.
    """
    path = Path(folder)
    if (path / wanted).is_file():
        return
    for settings, kind in _KINDS.items():
        if (path / settings).is_file():
            raise PixelClusterError(f"{show_path(path)}: is {kind}")
