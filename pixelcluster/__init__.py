"""pixelcluster: unsupervised image segmentation and clustering.

    >>> import pixelcluster
    >>> result = pixelcluster.segment("photo.jpg", k=5)    # doctest: +SKIP
    >>> result.label_map.shape                             # doctest: +SKIP

The public names are loaded when first used, so that importing the package (and `pixelcluster --help`) costs
nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixelcluster.cluster.estimator import ImageCluster
    from pixelcluster.errors import PixelClusterError, PixelClusterWarning
    from pixelcluster.io.label_map import read_label_map
    from pixelcluster.io.read import read_image
    from pixelcluster.segmenting.api import segment
    from pixelcluster.segmenting.estimator import PixelCluster
    from pixelcluster.segmenting.segmentation import Segmentation

__version__ = "0.1.0"

__all__ = [
    "ImageCluster",
    "PixelCluster",
    "PixelClusterError",
    "PixelClusterWarning",
    "Segmentation",
    "__version__",
    "read_image",
    "read_label_map",
    "segment",
]

_HOME = {
    "ImageCluster": "pixelcluster.cluster.estimator",
    "PixelCluster": "pixelcluster.segmenting.estimator",
    "PixelClusterError": "pixelcluster.errors",
    "PixelClusterWarning": "pixelcluster.errors",
    "Segmentation": "pixelcluster.segmenting.segmentation",
    "read_image": "pixelcluster.io.read",
    "read_label_map": "pixelcluster.io.label_map",
    "segment": "pixelcluster.segmenting.api",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'pixelcluster' has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
