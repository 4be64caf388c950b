"""Which way an image is segmented: on its own, or by a trained model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pixelcluster.arguments import Mode
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.segmenting.segmentation import Segmentation

if TYPE_CHECKING:
    from pixelcluster.io.raster import Raster
    from pixelcluster.io.raster_scribbles import RasterScribbles
    from pixelcluster.io.video import Video
    from pixelcluster.segmenting.estimator import PixelCluster
    from pixelcluster.segmenting.rasters.outputs import RasterLabels
    from pixelcluster.segmenting.reader import Reader
    from pixelcluster.segmenting.videos.video import VideoLabels
    from pixelcluster.training.model import TrainedModel


@dataclass(frozen=True, kw_only=True)
class Method:
    """The choices of `pixelcluster segment` that decide how, not where to.

    Without a mode a trained model answers in the mode it was configured with, an image alone in the fast one.
    """

    n_clusters: int | None = None
    model: Path | None = None
    stack: str | None = None
    mode: Mode | None = None
    seed: int = 0
    device: str = "auto"
    probabilities: bool = False
    max_pixels: int = MAX_PIXELS
    bands: tuple[int, ...] | None = None
    """Of rasters, from 1; None: all of them, or with a model the three colours."""
    scribbles: Path | None = None
    """Known labels of the one image."""
    window: int | None = None
    """Side of the raster windows a model sees, pixels; None: the size it works at."""

    def check(self) -> None:
        """Refuse choices that exclude each other, whatever the image.

        Raises:
            PixelClusterError: naming them.
        """
        if self.model is not None:
            if self.n_clusters is not None or self.stack is not None:
                option = "-k" if self.n_clusters is not None else "--stack"
                raise PixelClusterError(
                    f"--model fixes clusters and stack, so {option} cannot be given with it; drop one of them"
                )
            return
        if self.window is not None:
            raise PixelClusterError("--window says what a model sees at once; give --model, or drop it")
        if self.fits_whole_model:
            from pixelcluster.device import choose_device
            from pixelcluster.segmenting.api import check_stack_has_model
            from pixelcluster.targets.stack import parse_spec

            check_stack_has_model(self.stack, self.mode)
            choose_device(self.device)
            if self.stack is not None:
                parse_spec(self.stack)

    @property
    def fits_whole_model(self) -> bool:
        """Whether each picture gets a generator model of its own: in mode exact, or with a stack."""
        return self.model is None and (self.mode == "exact" or self.stack is not None)

    @property
    def chooses_number(self) -> bool:
        """Whether nothing but the picture decides how many clusters there are."""
        return self.model is None and self.n_clusters is None and self.scribbles is None

    def described(self) -> dict[str, object]:
        """Return what a reader of the results wants to know, by name."""
        facts: dict[str, object]
        if self.model is not None:
            facts = {"model": show_path(self.model), "mode": self.mode or "the model's"}
        else:
            full = self.fits_whole_model
            facts = {
                "clusters": self.n_clusters or "auto",
                "mode": "exact" if full else "fast",
                "stack": self.stack or ("default" if full else "none"),
            }
        facts |= {"seed": self.seed, "device": self.device}
        if self.scribbles is not None:
            facts["scribbles"] = show_path(self.scribbles)
        if self.bands is not None:
            facts["bands"] = ", ".join(map(str, self.bands))
        if self.window is not None:
            facts["window"] = f"{self.window} pixels"
        return facts


class Segmenter:
    """Segments images and rasters by one method; a model is loaded once for all of them.

    Args:
        method: the choices.

    Raises:
        PixelClusterError: choices that contradict each other, or a model that cannot be loaded.
    """

    def __init__(self, method: Method) -> None:
        self.method = method
        self._model: PixelCluster | None = None
        method.check()
        if method.model is None:
            return
        from pixelcluster.segmenting.estimator import PixelCluster

        self._model = PixelCluster.load(
            method.model, device=method.device, seed=method.seed, max_pixels=method.max_pixels
        )

    def image(self, path: Path) -> Segmentation:
        """Segment an image file.

        Raises:
            PixelClusterError: a file that cannot be read, or choices only rasters have.
        """
        method = self.method
        if method.bands is not None:
            raise PixelClusterError(
                f"{show_path(path)}: is read as a picture, whose colours are known; --bands is for GeoTIFF"
            )
        if self._model is None:
            from pixelcluster.segmenting.api import segment

            return segment(
                path,
                method.n_clusters,
                stack=method.stack,
                mode=method.mode,
                seed=method.seed,
                probabilities=method.probabilities,
                device=method.device,
                scribbles=method.scribbles,
                max_pixels=method.max_pixels,
            )
        result: Segmentation = self._model.predict(
            path, mode=method.mode, probabilities=method.probabilities, scribbles=method.scribbles
        )
        return result

    @contextmanager
    def raster(self, path: Path) -> Iterator[tuple[Raster, RasterLabels]]:
        """Open a raster and label its windows as they are asked for.

        Raises:
            PixelClusterError: a file that cannot be read, or choices rasters do not have.
        """
        from pixelcluster.io.raster import open_raster

        method = self.method
        name = show_path(path)
        if method.probabilities:
            raise PixelClusterError(
                f"{name}: a raster gives labels and polygons; leave --probabilities and --entropy out"
            )
        if self._model is None:
            self._check_alone(name)
        with open_raster(path, bands=method.bands, colours_only=self._model is not None) as raster:
            if self._model is None:
                with self._strokes(raster, None) as strokes:
                    yield raster, self._raster_alone(raster, strokes)
                return
            if len(raster.bands) not in (1, 3):
                raise PixelClusterError(
                    f"{name}: a model sees 1 or 3 bands, got {len(raster.bands)}; choose with --bands 1,2,3"
                )
            from pixelcluster.segmenting.rasters.raster import label_with_model

            reader = self._reader(self._model.model_)
            with self._strokes(raster, _names(reader.model)) as strokes:
                yield raster, label_with_model(raster, reader, window=method.window, scribbles=strokes)

    def _reader(self, model: TrainedModel) -> Reader:
        from pixelcluster.device import choose_device
        from pixelcluster.segmenting.reader import Reader

        method = self.method
        return Reader(model, method.mode or model.config.mode, method.seed, choose_device(method.device))

    def _raster_alone(self, raster: Raster, strokes: RasterScribbles | None) -> RasterLabels:
        """Label a raster without a model: whole where it is a picture, else window by window."""
        from pixelcluster.segmenting.rasters.whole import is_picture, label_whole

        n_clusters, seed = self.method.n_clusters, self.method.seed
        if is_picture(raster, self.method.max_pixels):
            return label_whole(raster, n_clusters, scribbles=strokes)
        from pixelcluster.segmenting.rasters.raster import label_alone  # imports torch

        return label_alone(raster, n_clusters, seed=seed, scribbles=strokes)

    @contextmanager
    def _strokes(self, raster: Raster, names: Sequence[str] | None) -> Iterator[RasterScribbles | None]:
        """Open the scribbles on a raster, if there are any."""
        from pixelcluster.io.raster_scribbles import open_raster_scribbles

        method = self.method
        if method.scribbles is None:
            yield None
            return
        if method.mode == "fast" and self._model is not None:
            raise PixelClusterError("scribbles need the chains; use mode exact, or leave the mode out")
        path, cap = method.scribbles, method.max_pixels
        with open_raster_scribbles(path, raster, names=names, max_pixels=cap) as strokes:
            yield strokes

    @contextmanager
    def video(self, path: Path) -> Iterator[tuple[Video, VideoLabels]]:
        """Open a video and label its frames as they are asked for.

        Raises:
            PixelClusterError: a file that cannot be read, or choices videos do not have.
        """
        from pixelcluster.io.video import open_video
        from pixelcluster.segmenting.videos.video import VideoLabels, fit_clip, label_alone, label_with_model

        method = self.method
        name = show_path(path)
        if any(choice is not None for choice in (method.scribbles, method.bands, method.window)):
            raise PixelClusterError(
                f"{name}: is a video; --scribbles, --bands and --window serve rasters, scribbles images too"
            )
        if method.probabilities:
            raise PixelClusterError(
                f"{name}: a video gives labels and overlay; leave --probabilities and --entropy out"
            )
        if self._model is None:
            self._check_alone(name)
            with open_video(path, max_pixels=method.max_pixels) as video:
                scene, n_frames = fit_clip(video, method.n_clusters, seed=method.seed)
            with open_video(path, max_pixels=method.max_pixels) as video:
                names = ("",) * scene.n_clusters
                yield video, VideoLabels(names, n_frames, label_alone(scene, video.frames))
            return
        model = self._model.model_
        with open_video(path, max_pixels=method.max_pixels) as video:
            frames = label_with_model(self._reader(model), video.frames)
            yield video, VideoLabels(_names(model), video.n_frames, frames)

    def _check_alone(self, name: str) -> None:
        """Refuse choices that only single images, or models, have."""
        if self.method.fits_whole_model:
            raise PixelClusterError(
                f"{name}: without a model rasters and videos know mode fast alone; leave --stack and --mode "
                "out, or train a model on parts of it"
            )


def _names(model: TrainedModel) -> tuple[str, ...]:
    """Return the names of a model's K clusters, "" for one without."""
    k = model.generator.n_clusters
    return model.config.clusters.listed(k) or ("",) * k
