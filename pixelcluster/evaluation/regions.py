"""Per-image segmentation on the BSDS500 layout: methods side by side in one run.

Protocol: every method sees one image at a time and has one setting for all; a machine region is a 4-connected
component of its label map. The same scores with the raw labels as regions stand beside them: the two differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from pixelcluster.baselines.registry import load_method
from pixelcluster.data.bsds import Bsds
from pixelcluster.errors import PixelClusterError
from pixelcluster.metrics.regions import RegionScores, connected_regions, score_regions

Predict = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.int32]]


@dataclass(frozen=True)
class ImageResult:
    """Scores of one method on one image.

    Attributes:
        stem: the image.
        regions: scores of the 4-connected components.
        raw_labels: scores of the labels themselves.
        n_regions: number of components.
        seconds: wall-clock time of the segmentation alone.
    """

    stem: str
    regions: RegionScores
    raw_labels: RegionScores
    n_regions: int
    seconds: float


METHODS = {
    "pixelcluster": "",
    "felzenszwalb": "per_image/felzenszwalb",
    "slic-merge": "per_image/slic",
    "cv2-kmeans": "per_image/kmeans",
    "kanezaki": "per_image/kanezaki",
}
"""What can be compared: the name in a table, and that in `baselines.registry`."""


def choose_method(name: str) -> Predict:
    """Return a method of `METHODS` with its own settings, the same for every image."""
    if name == "pixelcluster":
        from pixelcluster.segmenting.alone.single import segment_image

        return lambda image: segment_image(image).label_map
    predict: Predict = load_method(METHODS[name])().predict
    return predict


def evaluate(
    dataset: Bsds, methods: Mapping[str, Predict], advance: Callable[[], None] = lambda: None
) -> dict[str, list[ImageResult]]:
    """Segment and score every image with every method.

    Args:
        dataset: images with their annotators.
        methods: by name, image (H, W, 3) float32 in [0, 1] -> label map (H, W).
        advance: called after each image and method.

    Returns:
        For each method one result an image, in the order of the data set. The first image is segmented once
        beforehand, so that no time includes imports.

    Raises:
        PixelClusterError: a method returns a map of another size than the image.
    """
    results: dict[str, list[ImageResult]] = {name: [] for name in methods}
    for predict in methods.values():
        predict(dataset[0].image)
    for index in range(len(dataset)):
        item = dataset[index]
        for name, predict in methods.items():
            start = time.perf_counter()
            label_map = predict(item.image)
            seconds = time.perf_counter() - start
            if label_map.shape != item.image.shape[:2]:
                raise PixelClusterError(
                    f"{name} returned a map of {label_map.shape} for {item.stem} of {item.image.shape[:2]}"
                )
            regions = connected_regions(label_map)
            results[name].append(
                ImageResult(
                    item.stem,
                    score_regions(regions, item.truths),
                    score_regions(label_map, item.truths),
                    int(regions.max()) + 1,
                    seconds,
                )
            )
            advance()
    return results


def summarise(results: list[ImageResult]) -> dict[str, object]:
    """Return the figures of one method for JSON.

    Args:
        results: at least one image.

    Returns:
        `pri`, `voi` (bits), `covering`, `miou`, `n_regions`, `seconds`: means over images of the 4-connected
        regions, each with `<name>_std` (population); `seconds_median`; `n_images`; `raw_labels` with the four
        means for labels as regions; `per_image` by stem.
    """
    rows = [asdict(r.regions) | {"n_regions": r.n_regions, "seconds": r.seconds} for r in results]
    summary: dict[str, object] = {"n_images": len(results)}
    for key in rows[0]:
        values = [row[key] for row in rows]
        summary[key] = float(np.mean(values))
        summary[f"{key}_std"] = float(np.std(values))
    summary["seconds_median"] = float(np.median([r.seconds for r in results]))
    raw = [asdict(r.raw_labels) for r in results]
    summary["raw_labels"] = {key: float(np.mean([row[key] for row in raw])) for key in raw[0]}
    summary["per_image"] = {
        r.stem: row | {"raw_labels": labels} for r, row, labels in zip(results, rows, raw, strict=True)
    }
    return summary
