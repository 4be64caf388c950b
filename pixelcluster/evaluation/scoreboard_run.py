"""One method on one data set with one seed: fitted within a budget, its last state scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pixelcluster import clock
from pixelcluster.baselines.registry import METHODS, load_method
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.config import RunConfig
from pixelcluster.config_file import load_config, load_settings
from pixelcluster.data.image_sets import NAMES as IMAGE_SETS
from pixelcluster.data.image_sets import load_image_set
from pixelcluster.data.labelled import LabelledImage, LabelledSet
from pixelcluster.data.labelled_sets import NAMES as PIXEL_SETS
from pixelcluster.data.labelled_sets import load_labelled_set
from pixelcluster.data.splits import ImageSet
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation import image_level, per_pixel
from pixelcluster.evaluation.published import OURS

Report = dict[str, Any]


def is_image_level(data: str) -> bool:
    """Return whether a data set is clustered image by image; unknown names are folders of label maps."""
    return data in IMAGE_SETS


def is_settings(method: str) -> bool:
    """Return whether a method is a YAML file: the clustered generator with these settings."""
    return method.endswith(".yaml")


def method_names(data: str) -> list[str]:
    """Return the methods there are for a data set."""
    room = "image_level/" if is_image_level(data) else "per_pixel/"
    return [*(name.removeprefix(room) for name in METHODS if name.startswith(room)), OURS]


def takes(data: str, method: str) -> bool:
    """Return whether a method exists for a data set; settings are of whole images or of pixels."""
    if not is_settings(method):
        return method in method_names(data)
    try:
        _check_settings(data, method)
    except PixelClusterError:
        return False
    return True


def check_methods(methods: Sequence[str], data: Sequence[str]) -> None:
    """Refuse, before anything is fitted, methods that no data set takes.

    Raises:
        PixelClusterError: the method, or what is wrong with its settings.
    """
    for method in methods:
        if any(takes(own, method) for own in data):
            continue
        if is_settings(method):
            _check_settings(data[0], method)
        known = sorted({name for own in data for name in method_names(own)})
        raise PixelClusterError(f"unknown method {method!r}; choose from {', '.join(known)}")


class Source(Protocol):
    """A data set that is open."""

    @property
    def n_images(self) -> int:
        """Images that are scored."""

    @property
    def majority(self) -> float:
        """Share of the largest class, percent."""

    def run(self, method: str, seed: int, *, minutes: float, device: str) -> Report:
        """Fit and score; acc, seconds, seconds_predict, pretrained, and what else the protocol reports."""


def open_source(data: str, path: Path) -> Source:
    """Return a data set; images of the per-pixel sets are read when the first method asks for them.

    Raises:
        PixelClusterError: files are missing or wrong, or a name that is nearly that of a known set.
    """
    if is_image_level(data):
        return ImageSource(load_image_set(data, None if data == "digits" else path))
    return PixelSource(open_labelled(data, path))


def open_labelled(data: str, path: Path) -> LabelledSet:
    """Return a per-pixel data set; a name that is no known set is a folder of images/ and labels/.

    Raises:
        PixelClusterError: files are missing or wrong, or a name that is nearly that of a known set.
    """
    alike = {_plain(name): name for name in (*PIXEL_SETS, *IMAGE_SETS)}.get(_plain(data), data)
    if alike != data:
        raise PixelClusterError(f"unknown data set {data!r}; did you mean {alike}? Folders need other names")
    return load_labelled_set(data if data in PIXEL_SETS else "folder", path)


@dataclass(frozen=True)
class PixelSource:
    """A data set of label maps: fitted to and scored on the same images."""

    dataset: LabelledSet

    @cached_property
    def items(self) -> list[LabelledImage]:
        """All images."""
        return [self.dataset[index] for index in range(len(self.dataset))]

    @property
    def n_images(self) -> int:
        """Images that are scored."""
        return len(self.dataset)

    @property
    def majority(self) -> float:
        """Share of the largest class, percent."""
        return per_pixel.majority_share(self.items, len(self.dataset.class_names))

    def run(self, method: str, seed: int, *, minutes: float, device: str) -> Report:
        """Fit and score, see `fit_per_pixel`."""
        n_classes = len(self.dataset.class_names)
        return fit_per_pixel(
            method, self.items, n_classes=n_classes, seed=seed, minutes=minutes, device=device
        )[0]


@dataclass(frozen=True)
class ImageSource:
    """A data set of whole images: fitted to the training images and scored on the test images."""

    images: ImageSet

    @property
    def n_images(self) -> int:
        """Images that are scored."""
        return len(self.images.test)

    @property
    def majority(self) -> float:
        """Share of the largest class, percent."""
        labels = self.images.test_labels
        return 0.0 if labels is None else 100 * float(np.bincount(labels).max() / len(labels))

    def run(self, method: str, seed: int, *, minutes: float, device: str) -> Report:
        """Fit and score, see `image_level.fit_and_score`."""
        own, n_clusters = is_settings(method), len(self.images.class_names)
        fit = image_level.choose_method(
            OURS if own else method,
            n_clusters,
            seed=seed,
            device=device,
            minutes=minutes,
            config=Path(method) if own else None,
        )
        return {**image_level.fit_and_score(fit, self.images, n_clusters), "pretrained": False}


def fit_per_pixel(
    method: str,
    items: Sequence[LabelledImage],
    *,
    n_classes: int,
    seed: int,
    minutes: float,
    device: str,
) -> tuple[Report, list[NDArray[np.int32]]]:
    """Fit a method on images; return acc, miou, nmi, the halves, seconds and pretrained, and its label maps.

    Rivals are given all channels, and take the protocol of the images from them. Every method is given the
    masks, in the fit and in the prediction.
    """
    if method == OURS or is_settings(method):
        config = RunConfig() if method == OURS else load_config(method)
        report, maps = per_pixel.fit_and_score(
            items, config, n_classes=n_classes, seed=seed, device=device, minutes=minutes
        )
        return {**report, "pretrained": per_pixel.is_pretrained(config)}, maps
    name = f"per_pixel/{method}"
    rival = load_method(name)(n_classes, seed=seed, device=device, minutes=minutes)
    started = clock.now()
    rival.fit([item.image for item in items], [item.mask for item in items])
    learned = clock.now()
    maps = [rival.predict(item.image, item.mask) for item in items]
    return {
        **per_pixel.score(maps, items, n_classes, n_classes),
        **per_pixel.score_halves(maps, items, n_classes, n_classes),
        "seconds": learned - started,
        "seconds_predict": clock.now() - learned,
        "pretrained": METHODS[name].regime == "pretrained",
    }, maps


def _check_settings(data: str, method: str) -> None:
    load_settings(ImageSettings if is_image_level(data) else RunConfig, Path(method))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")
