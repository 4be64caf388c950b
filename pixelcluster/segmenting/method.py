"""Which way an image is segmented: on its own, or by a trained model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.segmenting.segmentation import Segmentation


@dataclass(frozen=True)
class Method:
    """The choices of `pixelcluster segment` that decide how, not where to.

    Without a mode a trained model answers in the mode it was configured with, an image alone in the fast one.
    """

    n_clusters: int | None = None
    model: Path | None = None
    stack: str | None = None
    mode: Literal["fast", "exact"] | None = None
    seed: int = 0
    device: str = "auto"
    probabilities: bool = False
    max_pixels: int = MAX_PIXELS


def make_segmenter(method: Method) -> Callable[[Path], Segmentation]:
    """Load what is needed once and return the function for one image.

    Args:
        method: the choices.

    Returns:
        path -> segmentation.

    Raises:
        PixelClusterError: choices that contradict each other, or a model that cannot be loaded.
    """
    if method.model is None:
        return _alone(method)
    if method.n_clusters is not None or method.stack is not None:
        option = "-k" if method.n_clusters is not None else "--stack"
        raise PixelClusterError(
            f"--model fixes clusters and stack, so {option} cannot be given with it; drop one of them"
        )
    return _with_model(method, method.model)


def _alone(method: Method) -> Callable[[Path], Segmentation]:
    from pixelcluster.segmenting.api import segment

    def one(path: Path) -> Segmentation:
        return segment(
            path,
            method.n_clusters,
            stack=method.stack,
            mode=method.mode or "fast",
            seed=method.seed,
            probabilities=method.probabilities,
            device=method.device,
            max_pixels=method.max_pixels,
        )

    return one


def _with_model(method: Method, folder: Path) -> Callable[[Path], Segmentation]:
    from pixelcluster.estimator import PixelCluster
    from pixelcluster.io.read import read_image

    model = PixelCluster.load(folder, device=method.device, seed=method.seed)

    def one(path: Path) -> Segmentation:
        image = read_image(path, max_pixels=method.max_pixels)
        result: Segmentation = model.predict(image, mode=method.mode, probabilities=method.probabilities)
        return result

    return one
