"""`PixelCluster`: fit on images, predict on images, save and load."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from pixelcluster import clock
from pixelcluster.arguments import Mode, check_mode, check_n_clusters, check_seed
from pixelcluster.config import ClusterSettings, RunConfig
from pixelcluster.config_file import load_config
from pixelcluster.data.folder import limit_side, read_images
from pixelcluster.device import choose_device
from pixelcluster.errors import PixelClusterError, PixelClusterWarning, counted
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.model_files import PIXELS, refuse_other_kind
from pixelcluster.io.read import ImageLike, read_image
from pixelcluster.io.scribbles import check_whole, read_scribbles
from pixelcluster.progress import Progress
from pixelcluster.resuming.snapshots import Snapshots
from pixelcluster.segmenting.predict import label_image
from pixelcluster.segmenting.reader import Reader
from pixelcluster.segmenting.relabel import current_ids
from pixelcluster.segmenting.segmentation import Segmentation
from pixelcluster.segmenting.watch import Watch
from pixelcluster.training.checkpoint import load_model, save_model
from pixelcluster.training.model import TrainedModel
from pixelcluster.training.run import fit_model

Images = str | Path | Sequence[ImageLike]


class PixelCluster:
    """Unsupervised segmentation with the clustered generator model; cluster ids agree across images.

    Args:
        n_clusters: K, or "auto" to start high and prune; None leaves it to the configuration.
        stack: target stack, for example "encoder" or "texture+patches"; None leaves it to the configuration.
        config: settings, or a YAML file of them; None: the defaults.
        seed: from 0 to 2^32 - 1; same seed and machine, same result.
        device: "auto", "cpu" or "cuda".
        max_pixels: largest accepted height x width of a file, compared before decoding.

    Attributes:
        model_: the fitted model.
        n_clusters_: K of the fitted model, clusters merged away among them.
        failures_: (path, message) of files of a folder that could not be read.

    Examples:
        >>> model = PixelCluster(n_clusters=6).fit("photos/")      # doctest: +SKIP
        >>> model.predict("photos/beach.jpg").overlay().show()     # doctest: +SKIP
        >>> model.save("model/")                                   # doctest: +SKIP
    """

    def __init__(
        self,
        n_clusters: int | Literal["auto"] | None = None,
        *,
        stack: str | None = None,
        config: RunConfig | str | Path | None = None,
        seed: int = 0,
        device: str = "auto",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        check_seed(seed)
        self.n_clusters, self.stack, self.config = n_clusters, stack, config
        self.seed, self.device, self.max_pixels = seed, device, max_pixels

    def __repr__(self) -> str:
        if not hasattr(self, "model_"):
            wanted = "" if self.n_clusters is None else f"n_clusters={self.n_clusters!r}, "
            return f"PixelCluster({wanted}not fitted)"
        k, stack = self.model_.generator.n_clusters, self.model_.config.targets.stack
        return f"PixelCluster({counted(k, 'cluster')}, stack {stack}, fitted)"

    @property
    def n_clusters_(self) -> int:
        """K of the fitted model, clusters merged away among them."""
        return self.model_.generator.n_clusters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the class by name, as scikit-learn's `clone` wants them.

        Args:
            deep: of no effect, as no argument is an estimator itself.
        """
        return {name: getattr(self, name) for name in signature(PixelCluster).parameters}

    def set_params(self, **values: Any) -> PixelCluster:
        """Set arguments of the class, for the next `fit` or `predict`.

        Raises:
            PixelClusterError: one it does not have.
        """
        known = self.get_params()
        for name, value in values.items():
            if name not in known:
                raise PixelClusterError(f"PixelCluster has no parameter {name!r}; it has {', '.join(known)}")
            setattr(self, name, value)
        return self

    def fit(
        self,
        images: Images,
        *,
        masks: Sequence[NDArray[np.bool_]] | None = None,
        minutes: float | None = None,
        progress: Progress | None = None,
        snapshots: Snapshots | None = None,
    ) -> PixelCluster:
        """Fit on images without labels.

        Args:
            images: a folder, or a sequence of paths, PIL images, arrays (H, W[, C]) or tensors ([C,] H, W).
            masks: (H, W) bool an image; False: the pixel plays no part. For sequences only.
            minutes: stop after about this long.
            progress: see `pixelcluster.progress`.
            snapshots: checkpoints of this fit, see `resuming.snapshots`.

        Returns:
            The model itself.

        Raises:
            PixelClusterError: no readable image, settings that are wrong or exclude each other, fewer label
                cells than clusters.
        """
        deadline = math.inf if minutes is None else clock.now() + 60 * minutes
        config = self._settings()
        arrays = self._read(images, config.targets.image_side)
        if masks is not None:
            masks = _checked(masks, arrays)
        self.model_: TrainedModel = fit_model(
            arrays,
            config,
            masks=masks,
            seed=check_seed(self.seed),
            device=choose_device(self.device),
            deadline=deadline,
            progress=progress,
            snapshots=snapshots,
        )
        return self

    def predict(
        self,
        image: ImageLike,
        *,
        mode: Mode | None = None,
        probabilities: bool = False,
        scribbles: str | Path | NDArray[np.int32] | None = None,
        watch: Watch | None = None,
    ) -> Segmentation:
        """Segment one image.

        Args:
            image: path, PIL image, array (H, W[, C]) or tensor ([C,] H, W).
            mode: "fast" asks the student alone, "exact" runs the chains; None: what the configuration says.
            probabilities: also return probabilities and entropy: given this model, and sure of themselves
                where it is. They do not say which clusters another fit would find.
            scribbles: known labels, which stay as they are while the rest follows: a file (`io.scribbles`),
                or (H, W) integers, -1 unknown. Always by the chains.
            watch: is shown the chains after every round (`segmenting.watch`).

        Returns:
            The segmentation at the size of the image.

        Raises:
            PixelClusterError: not fitted, no such mode, or an image that cannot be read.
        """
        started = time.perf_counter()
        model, seed = self._fitted(), check_seed(self.seed)
        chosen: Mode = model.config.mode if mode is None else mode
        check_mode(chosen, get_args(Mode))
        picture = read_image(image, max_pixels=self.max_pixels)
        marks = None
        if scribbles is not None:
            if mode == "fast":
                raise PixelClusterError("scribbles need the chains; use mode exact, or leave the mode out")
            marks, chosen = self._marks(scribbles, picture.shape[:2]), "exact"
        labels, soft = label_image(
            Reader(model, chosen, seed, choose_device(self.device)),
            picture,
            probabilities=probabilities,
            scribbles=marks,
            watch=watch,
        )
        info: dict[str, object] = {
            "mode": chosen if model.student is not None else "exact",
            "stack": model.config.targets.stack,
            "seed": seed,
            "n_clusters": model.generator.n_clusters,
            "seconds": time.perf_counter() - started,
        }
        k = model.generator.n_clusters
        names = model.config.clusters.listed(k)
        return Segmentation.build(picture, labels, k, probabilities=soft, names=names, info=info)

    def save(self, folder: str | Path) -> None:
        """Write config.yaml, model.safetensors and metrics.jsonl into a folder; see `training.checkpoint`."""
        save_model(self._fitted(), folder)

    @classmethod
    def load(
        cls, folder: str | Path, *, seed: int = 0, device: str = "auto", max_pixels: int = MAX_PIXELS
    ) -> PixelCluster:
        """Read a model written by `save`; the other arguments are those of the class.

        Raises:
            PixelClusterError: no model folder, or a file that is not ours.
        """
        refuse_other_kind(folder, PIXELS)
        model = load_model(folder, choose_device(device))
        k = model.generator.n_clusters
        loaded = cls(k, config=model.config, seed=seed, device=device, max_pixels=max_pixels)
        loaded.model_ = model
        return loaded

    def _settings(self) -> RunConfig:
        """Return the configuration with the constructor's choices in it."""
        config = self.config if isinstance(self.config, RunConfig) else None
        if config is None:
            config = RunConfig() if self.config is None else load_config(cast("str | Path", self.config))
        if self.n_clusters is not None:
            config = config.model_copy(update={"n_clusters": check_n_clusters(self.n_clusters)})
        if self.stack is not None:
            same = self.stack == config.targets.stack
            options = config.targets.options if same else {}
            targets = config.targets.model_copy(update={"stack": self.stack, "options": options})
            config = config.model_copy(update={"targets": targets})
        config.check_fit()
        # Names and merges of a fitted model mean nothing to the next one.
        return config.model_copy(update={"clusters": ClusterSettings()})

    def _read(self, images: Images, image_side: int | None) -> list[NDArray[np.float32]]:
        """Return the images at the working size."""
        self.failures_: list[tuple[Path, str]] = []
        side = image_side or 2**31
        if isinstance(images, (str, Path)):
            read = read_images([Path(images)], self.failures_, max_pixels=self.max_pixels)
            arrays = [limit_side(image, side) for _, image in read]
            for _, message in self.failures_:
                warnings.warn(f"left out {message}", PixelClusterWarning, stacklevel=3)
            return arrays
        if not isinstance(images, Sequence):
            raise PixelClusterError(
                f"images is one {type(images).__name__}; give a folder or a list of images"
            )
        return [limit_side(read_image(image, max_pixels=self.max_pixels), side) for image in images]

    def _marks(self, scribbles: str | Path | NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
        """Return scribbles (H, W) in ids that still exist."""
        config = self._fitted().config
        k = self._fitted().generator.n_clusters
        if isinstance(scribbles, np.ndarray):
            check_whole(scribbles)
            if scribbles.shape != shape or scribbles.max() < 0 or scribbles.max() >= k:
                raise PixelClusterError(
                    f"scribbles are {scribbles.shape} with ids up to {scribbles.max()}; wanted {shape} and "
                    f"ids from 0 to {k - 1}, -1 where unknown"
                )
            marks = scribbles.astype(np.int32)
        else:
            names = config.clusters.listed(k) or ("",) * k
            marks, _ = read_scribbles(scribbles, shape, names=names, max_pixels=self.max_pixels)
        return current_ids(marks, config.clusters.merged)

    def _fitted(self) -> TrainedModel:
        if not hasattr(self, "model_"):
            raise PixelClusterError("the model is not fitted; call fit(images) or PixelCluster.load(folder)")
        return self.model_


def _checked(
    masks: Sequence[NDArray[np.bool_]], images: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.bool_]]:
    """Return the masks as bool, if each fits its image."""
    if len(masks) != len(images):
        raise PixelClusterError(f"{len(masks)} masks for {len(images)} images; give one an image, or none")
    for index, (mask, image) in enumerate(zip(masks, images, strict=True)):
        if mask.shape != image.shape[:2]:
            raise PixelClusterError(
                f"mask {index} is {mask.shape}, its image {image.shape[:2]} at the working size; "
                "give masks of that size"
            )
    return [mask.astype(bool) for mask in masks]
