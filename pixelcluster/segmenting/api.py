"""`pixelcluster.segment`: one image, no trained model."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pixelcluster.arguments import Mode, check_k, check_mode, check_seed
from pixelcluster.errors import PixelClusterError, PixelClusterWarning, counted
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.read import ImageLike, read_image
from pixelcluster.segmenting.colours import count_colours
from pixelcluster.segmenting.segmentation import Segmentation
from pixelcluster.segmenting.watch import Watch

if TYPE_CHECKING:
    from pixelcluster.config import RunConfig

Labels = NDArray[np.int32]

_SIDE = 512
"""Longest side the full model works at, pixels."""
_SMALL = 64
"""Images with a shorter side have a label cell a pixel."""


def segment(
    image: ImageLike,
    k: int | Literal["auto"] | None = None,
    *,
    stack: str | None = None,
    mode: Mode | None = None,
    seed: int = 0,
    probabilities: bool = False,
    device: str = "auto",
    scribbles: str | Path | Labels | None = None,
    max_pixels: int = MAX_PIXELS,
    watch: Watch | None = None,
) -> Segmentation:
    """Segment one image by fitting on the image itself.

    Args:
        image: path, PIL image, numpy array (H, W[, 1|3|4]) or torch tensor ([1|3|4,] H, W); see `read_image`.
        k: number of clusters; None or "auto": chosen from the image.
        stack: target stack, for example "texture", for the full generator model, which is then fitted to this
            image as in mode "exact".
        mode: "fast" for a quick colour and texture model, which has no stack; "exact" to fit the full
            generator model to this image and run its chains (several seconds). None: "exact" with a stack,
            "fast" without.
        seed: of the whole model, from 0 to 2^32 - 1; the quick model has nothing random.
        probabilities: also return probabilities and entropy: given this fit, and sure of themselves where it
            is. They do not say which clusters another fit would find.
        device: "auto", "cpu" or "cuda", for the full model.
        scribbles: known labels, which stay as they are while the rest follows: a file (`io.scribbles`), or
            (H, W) integers, -1 unknown. Ids are then those of the scribbles. For the quick model only.
        max_pixels: largest accepted height x width of a file.
        watch: is shown the quick model at work (`segmenting.watch`).

    Returns:
        The segmentation. Asking for more clusters than the image has distinct colours warns and returns
        fewer.

    Raises:
        PixelClusterError: unreadable image or scribbles, a k, mode or seed that is none, or mode "fast" with
            a stack.
    """
    started = time.perf_counter()
    k = check_k(k)
    if mode is not None:
        check_mode(mode, get_args(Mode))
    check_stack_has_model(stack, mode)
    seed = check_seed(seed)
    picture = read_image(image, max_pixels=max_pixels)
    if scribbles is not None:
        if stack is not None or mode == "exact":
            raise PixelClusterError("scribbles guide the quick model, or a trained one; drop stack and mode")
        return _guided(picture, k, scribbles, probabilities, max_pixels, started, watch)
    possible = count_colours(picture, at_least=2 if k is None else k)
    if k is not None and possible < k:
        warnings.warn(
            f"asked for {k} clusters, but the image has {counted(possible, 'distinct colour')}: "
            f"returning {possible}",
            PixelClusterWarning,
            stacklevel=2,
        )
        k = possible
    whole_model = stack is not None or mode == "exact"
    info: dict[str, object] = {"mode": "exact" if whole_model else "fast", "stack": stack}
    if k == 1 or possible == 1:
        labels = np.zeros(picture.shape[:2], dtype=np.int32)
        certain = np.ones((1, *labels.shape), dtype=np.float32) if probabilities else None
        n_clusters = 1
    elif not whole_model:
        from pixelcluster.segmenting.alone.single import segment_image

        quick = segment_image(picture, n_clusters=k, probabilities=probabilities, watch=watch)
        labels, certain, n_clusters = quick.label_map, quick.probabilities, quick.n_clusters
    else:
        from pixelcluster.segmenting.estimator import PixelCluster

        settings = one_image_settings(picture.shape[:2], k, stack)
        model = PixelCluster(config=settings, seed=seed, device=device).fit([picture])
        full = model.predict(picture, mode="exact", probabilities=probabilities)
        labels, certain, n_clusters = full.label_map, full.probabilities, full.n_clusters
        info |= {"stack": settings.targets.stack, "seed": seed}
    info |= {"n_clusters": n_clusters, "seconds": time.perf_counter() - started}
    return Segmentation.build(picture, labels, n_clusters, probabilities=certain, info=info)


def check_stack_has_model(stack: str | None, mode: Mode | None) -> None:
    """Refuse mode "fast" with a stack: without a trained model it is the full model that has stacks.

    Raises:
        PixelClusterError: both are given.
    """
    if stack is not None and mode == "fast":
        raise PixelClusterError(
            f"mode fast without a trained model has no stack, got {stack!r}; leave the stack out, or take "
            "mode exact, which fits the whole model to the one picture"
        )


def _guided(
    picture: NDArray[np.float32],
    k: int | None,
    scribbles: str | Path | Labels,
    probabilities: bool,
    max_pixels: int,
    started: float,
    watch: Watch | None,
) -> Segmentation:
    """Segment an image under known labels."""
    from pixelcluster.io.scribbles import check_id, check_whole, read_scribbles
    from pixelcluster.segmenting.alone.single import segment_image

    names: tuple[str, ...] = ()
    if isinstance(scribbles, np.ndarray):
        check_whole(scribbles)
        check_id(int(scribbles.max(initial=-1)), None, "scribbles")
        marks = scribbles.astype(np.int32)
    else:
        marks, names = read_scribbles(scribbles, picture.shape[:2], max_pixels=max_pixels)
    result = segment_image(picture, n_clusters=k, probabilities=probabilities, scribbles=marks, watch=watch)
    n_clusters = result.n_clusters
    info: dict[str, object] = {"mode": "fast", "stack": None, "n_clusters": n_clusters}
    info["seconds"] = time.perf_counter() - started
    if names:
        names = (*names, *[""] * (n_clusters - len(names)))
    return Segmentation.build(
        picture, result.label_map, n_clusters, probabilities=result.probabilities, names=names, info=info
    )


def one_image_settings(shape: tuple[int, int], k: int | None, stack: str | None) -> RunConfig:
    """Return settings of the full model for one image: nothing to amortise and no other image to share with.

    Args:
        shape: (H, W) in pixels.
        k: number of clusters; None: learned.
        stack: target stack; None: the configuration's.
    """
    from pixelcluster.config import RunConfig

    base = RunConfig()
    small = min(shape) * min(1.0, _SIDE / max(shape)) < _SMALL
    targets = {"stack": stack or base.targets.stack, "image_side": _SIDE, "label_stride": 1 if small else 4}
    # Learned proportions let the largest cluster of a single image grow at the cost of the rest; they are
    # needed where small clusters shall vanish.
    prior = {"concentration": None, "rows": 0, "proportions": k is None}
    return base.model_copy(
        update={
            "n_clusters": k or "auto",
            "targets": base.targets.model_copy(update=targets),
            "prior": base.prior.model_copy(update=prior),
            "training": base.training.model_copy(update={"restarts": 2}),
            "student": base.student.model_copy(update={"enabled": False}),
        }
    )
