"""From a picture and a request to a result: on its own, or with the one model the server was given."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelcluster.config import ClusterSettings
from pixelcluster.errors import PixelClusterError, counted
from pixelcluster.render.palette import categorical, hex_colours
from pixelcluster.segmenting.alone.correct import correct_image
from pixelcluster.segmenting.api import segment
from pixelcluster.segmenting.colours import count_colours
from pixelcluster.segmenting.segmentation import Segmentation
from pixelcluster.segmenting.watch import Watch
from pixelcluster.web.jobs import Work
from pixelcluster.web.requests import MAX_CLUSTERS, RunRequest
from pixelcluster.web.store import Picture, Result, Store

if TYPE_CHECKING:
    from pixelcluster.segmenting.estimator import PixelCluster

Marks = NDArray[np.int32]


class Runner:
    """Segments pictures of the store.

    Args:
        store: where results go.
        model: a model folder; None: every picture on its own.
        seed: of the model's chains.
        device: "auto", "cpu" or "cuda", for the model.

    Raises:
        PixelClusterError: the model cannot be loaded.
    """

    def __init__(self, store: Store, model: Path | None, *, seed: int, device: str) -> None:
        self._store = store
        self._model: PixelCluster | None = None
        if model is not None:
            from pixelcluster.segmenting.estimator import PixelCluster

            self._model = PixelCluster.load(model, seed=seed, device=device)
            _check_count(self._model.model_.generator.n_clusters)

    def described(self) -> dict[str, object] | None:
        """What the page may know of the model; None without one."""
        if self._model is None:
            return None
        trained = self._model.model_
        config = trained.config
        return {
            "clusters": trained.generator.n_clusters,
            "palette": hex_colours(categorical(trained.generator.n_clusters)),
            "stack": config.targets.stack,
            "mode": config.mode,
            "student": trained.student is not None,
        }

    def plan(self, picture: Picture, asked: RunRequest) -> Work:
        """Check a request and return the work it means.

        Raises:
            PixelClusterError: strokes or choices that do not fit the picture or the model.
        """
        if self._model is not None and asked.k is not None:
            raise PixelClusterError("the model fixes the number of clusters; leave k out")
        if self._model is None and asked.mode is not None:
            raise PixelClusterError("modes are a trained model's; start with --model DIR, or leave mode out")
        before = None if asked.result is None else picture.results.get(asked.result)
        if asked.result is not None and before is None:
            raise PixelClusterError("the result shown is no longer there; open the picture again")
        marks = None
        if asked.scribbles is not None:
            n_ids = MAX_CLUSTERS if self._model is None else self._model.model_.generator.n_clusters
            marks = asked.scribbles.marks(picture.image.shape[:2], n_ids)

        def work(watch: Watch) -> str:
            run = self._alone if self._model is None else self._with_model
            result = run(picture, asked, marks, before, watch)
            _check_count(result.found.n_clusters)
            result = replace(result, notes=(*picture.notes, *result.notes))
            return self._store.put(picture, result, after=asked.result)

        return work

    def _alone(
        self,
        picture: Picture,
        asked: RunRequest,
        marks: Marks | None,
        before: Result | None,
        watch: Watch,
    ) -> Result:
        image = picture.image
        if marks is not None and before is not None:
            started = time.perf_counter()
            labels = correct_image(image, before.shown.label_map, marks, watch=watch)
            n_clusters = max(before.found.n_clusters, int(labels.max()) + 1)
            info = {"seconds": time.perf_counter() - started}
            found = Segmentation.build(image, labels, n_clusters, info=info)
            # What was merged before the strokes were painted is merged in the labels already, and its ids are
            # free: strokes may give them to new classes.
            now, free = _settings_now(picture, asked, before), before.settings.merged
            names = {i: name for i, name in now.names.items() if i not in free}
            merged = {i: taker for i, taker in now.merged.items() if free.keys().isdisjoint((i, taker))}
            return Result.start(found, ClusterSettings(names=names, merged=merged))
        if marks is not None:
            found = segment(image, asked.k, scribbles=marks, watch=watch)
            return Result.start(found, ClusterSettings())
        k = asked.k
        notes: tuple[str, ...] = ()
        # What `segment` warns of is told here: a warning would end on the terminal.
        if k is not None and (possible := count_colours(image, at_least=k)) < k:
            notes = (f"asked for {k} clusters, but the image has {counted(possible, 'distinct colour')}",)
            k = possible
        found = segment(image, k, watch=watch)
        return Result.start(found, ClusterSettings(), notes)

    def _with_model(
        self,
        picture: Picture,
        asked: RunRequest,
        marks: Marks | None,
        before: Result | None,
        watch: Watch,
    ) -> Result:
        assert self._model is not None
        found = self._model.predict(picture.image, mode=asked.mode, scribbles=marks, watch=watch)
        names = {i: name for i, name in enumerate(found.names) if name}
        settings = ClusterSettings(names=names) if before is None else _settings_now(picture, asked, before)
        return Result.start(found, settings)


def _settings_now(picture: Picture, asked: RunRequest, before: Result) -> ClusterSettings:
    """Return names and merges of the result a run began with: people change them while it waits and runs."""
    return picture.results.get(asked.result or "", before).settings


def _check_count(n_clusters: int) -> None:
    if n_clusters > 256:
        raise PixelClusterError(
            f"{n_clusters} clusters; a page shows at most 256, so use pixelcluster segment"
        )
