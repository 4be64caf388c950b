"""Pictures and results of the page, in memory and of a bounded number."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pixelcluster.config import ClusterSettings, RunConfig
from pixelcluster.errors import PixelClusterError
from pixelcluster.segmenting.relabel import with_merged, with_names
from pixelcluster.segmenting.segmentation import Segmentation

_RESULTS = 4
"""Kept of one picture."""
_STEPS = 50
"""Names and merges that can be taken back."""


@dataclass(frozen=True)
class Result:
    """A segmentation as it was found, and what people have made of its clusters.

    Attributes:
        found: as the method returned it.
        history: settings of the clusters, the present ones last.
        shown: `found` under the present settings.
        notes: what the user should know about it.
    """

    found: Segmentation
    history: tuple[ClusterSettings, ...]
    shown: Segmentation
    notes: tuple[str, ...] = ()

    @classmethod
    def start(cls, found: Segmentation, settings: ClusterSettings, notes: tuple[str, ...] = ()) -> Result:
        """Return a fresh result."""
        return cls(found, (settings,), _under(found, settings), notes)

    @property
    def settings(self) -> ClusterSettings:
        """Names and merges as they are now."""
        return self.history[-1]

    def merged(self, ids: list[int]) -> Result:
        """Make clusters one; see `segmenting.relabel.merge_clusters`."""
        self._check(ids)
        return self._changed(with_merged(self.settings, ids))

    def named(self, cluster: int, name: str) -> Result:
        """Give a cluster a name; see `segmenting.relabel.name_clusters`."""
        self._check([cluster])
        config = RunConfig(n_clusters=self.found.n_clusters, clusters=self.settings)
        return self._changed(with_names(config, {cluster: name}, "the result").clusters)

    def undone(self) -> Result:
        """Take the last name or merge back.

        Raises:
            PixelClusterError: there is none.
        """
        if len(self.history) < 2:
            raise PixelClusterError("nothing to undo: this is the result as it was found")
        return replace(self, history=self.history[:-1], shown=_under(self.found, self.history[-2]))

    def _changed(self, settings: ClusterSettings) -> Result:
        history = (*self.history[-_STEPS:], settings)
        return replace(self, history=history, shown=_under(self.found, settings))

    def _check(self, ids: list[int]) -> None:
        k = self.found.n_clusters
        for i in ids:
            if not 0 <= i < k:
                raise PixelClusterError(f"the result has clusters 0 to {k - 1}, not {i}")


def _under(found: Segmentation, settings: ClusterSettings) -> Segmentation:
    """Return the segmentation with clusters merged and named."""
    k = found.n_clusters
    taker = np.array([settings.merged.get(i, i) for i in range(k)], dtype=np.int32)
    labels = taker[found.label_map] if settings.merged else found.label_map
    return Segmentation.build(found.image, labels, k, names=settings.listed(k), info=found.info)


@dataclass
class Picture:
    """An image, what reading it warned of, and its results, oldest first."""

    image: NDArray[np.float32]
    notes: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    results: OrderedDict[str, Result] = field(default_factory=OrderedDict)


class Store:
    """Keeps the pictures used last, up to a number and a sum of pixels.

    Args:
        pictures: how many.
        pixels: of all pictures together; the newest is kept in any case.
    """

    def __init__(self, pictures: int, pixels: int) -> None:
        self._limits = pictures, pixels
        self._pictures: OrderedDict[str, Picture] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, image: NDArray[np.float32], notes: tuple[str, ...] = ()) -> Picture:
        """Keep an image (H, W, 3) with its notes, and forget those that were not used for longest."""
        picture = Picture(image, notes)
        with self._lock:
            self._pictures[picture.id] = picture
            while len(self._pictures) > 1 and not self._fits():
                self._pictures.popitem(last=False)
        return picture

    def picture(self, picture_id: str) -> Picture | None:
        """Return a picture; None: unknown or forgotten."""
        with self._lock:
            picture = self._pictures.get(picture_id)
            if picture is not None:
                self._pictures.move_to_end(picture_id)
            return picture

    def change(self, picture: Picture, result_id: str, result: Result) -> None:
        """Put a changed result in the place it had."""
        with self._lock:
            if result_id in picture.results:
                picture.results[result_id] = result

    def put(self, picture: Picture, result: Result, after: str | None) -> str:
        """Keep a new result of a picture, and return its id.

        Args:
            picture: of the store.
            result: of the picture.
            after: id of the result that was shown when the run was asked for: it and those before it are
                what the page can go back to; later ones it has undone, and they are forgotten.
        """
        with self._lock:
            while after in picture.results and next(reversed(picture.results)) != after:
                picture.results.popitem()
            name = secrets.token_urlsafe(12)
            picture.results[name] = result
            if len(picture.results) > _RESULTS:
                picture.results.popitem(last=False)
            return name

    def _fits(self) -> bool:
        number, pixels = self._limits
        held = sum(picture.image.shape[0] * picture.image.shape[1] for picture in self._pictures.values())
        return len(self._pictures) <= number and held <= pixels
