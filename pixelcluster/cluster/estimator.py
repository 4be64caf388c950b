"""`ImageCluster`: whole images to clusters, with scikit-learn's conventions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from pixelcluster import clock
from pixelcluster.arguments import check_mode, check_n_clusters, check_seed
from pixelcluster.cluster.model import ImageModel, Mode, infer_images
from pixelcluster.cluster.run import fit_images
from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.cluster.storage import load_images_model, save_images_model
from pixelcluster.cluster.to_tensor import from_array, from_files, from_rows, from_sequence, row_format
from pixelcluster.device import choose_device
from pixelcluster.errors import PixelClusterError
from pixelcluster.progress import Progress
from pixelcluster.resuming.snapshots import Snapshots

Images = str | Path | ArrayLike | Sequence[Any]
Self = TypeVar("Self", bound="ImageCluster")


class ImageCluster(TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Clusters whole images with the clustered generator model: the label map is 1 x 1.

    Images are an array (N, H, W) or (N, H, W, C), uint8 or floating in [0, 1]; a folder; a sequence of
    paths, PIL images or arrays; or, as scikit-learn has it, rows (N, F) of numbers, each an image of sqrt(F)
    pixels per side or of one line.

    Args:
        n_clusters: K, or "auto" to start high and prune.
        settings: all other settings; None: the defaults.
        seed: from 0 to 2^32 - 1; same seed and machine, same result.
        device: "auto", "cpu" or "cuda".

    Attributes:
        labels_: (N,) int64, clusters of the images of the fit.
        model_: the fitted model.
        n_features_in_: entries of a row, where rows were given.

    Examples:
        >>> model = ImageCluster(10).fit(images)       # doctest: +SKIP
        >>> model.predict(other_images)                # doctest: +SKIP
    """

    def __init__(
        self,
        n_clusters: int | Literal["auto"] = 10,
        *,
        settings: ImageSettings | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.n_clusters = n_clusters
        self.settings = settings
        self.seed = seed
        self.device = device

    def fit(
        self: Self,
        X: Images,
        y: object = None,
        *,
        labels: ArrayLike | None = None,
        minutes: float | None = None,
        progress: Progress | None = None,
        snapshots: Snapshots | None = None,
    ) -> Self:
        """Cluster images.

        Args:
            X: the images.
            y: ignored, as scikit-learn wants.
            labels: (N,) known labels 0..K-1, -1 where unknown; they clamp y in the Gibbs step.
            minutes: stop learning after about this long.
            progress: see `pixelcluster.progress`.
            snapshots: saves the run now and then; holds the state to go on from, if there is one.

        Raises:
            PixelClusterError: images or labels that cannot be used, or fewer images than clusters.
            Interrupted: a signal came; the run is saved.
        """
        settings = self.settings or ImageSettings()
        n_clusters, seed = check_n_clusters(self.n_clusters), check_seed(self.seed)
        rows = self._rows(X, fitting=True)
        form = None if rows is None else row_format(rows)
        settings = settings.model_copy(update={"n_clusters": n_clusters, "rows": form})
        images = _tensor(X, rows, settings)
        self.model_: ImageModel = fit_images(
            images,
            settings,
            seed=seed,
            device=choose_device(self.device),
            known=None if labels is None else _known(labels, len(images), n_clusters),
            deadline=math.inf if minutes is None else clock.now() + 60 * minutes,
            progress=progress,
            snapshots=snapshots,
        )
        self.labels_: NDArray[np.int64] = self.model_.probabilities.argmax(1).numpy()
        return self

    def predict(self, X: Images, *, mode: Mode = "exact") -> NDArray[np.int64]:
        """Return the clusters (N,) int64 of images; see `cluster.model.infer_images` for the modes."""
        labels: NDArray[np.int64] = self.predict_proba(X, mode=mode).argmax(1)
        return labels

    def predict_proba(self, X: Images, *, mode: Mode = "exact") -> NDArray[np.float32]:
        """Return the probabilities (N, K) of images, given this fit.

        They do not include the doubt which clusters there are, and are far too sure of themselves: most round
        to 1, those of wrong images too. To find doubtful images compare log p of the best two.
        """
        return self._infer(X, mode)[0].numpy()

    def transform(self, X: Images) -> NDArray[np.float32]:
        """Return z (N, d) of images under their clusters: how each deviates from its cluster's template."""
        return self._infer(X, "exact")[1].numpy()

    def predict_parts(self, X: Images) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return probabilities (N, K) and z (N, d) of images in one pass."""
        probabilities, latents = self._infer(X, "exact")
        return probabilities.numpy(), latents.numpy()

    def extra_predictions(self, X: Images) -> dict[str, NDArray[np.int64]]:
        """Return the clusters by each part of the model alone, for the benchmark: generator_only and fast."""
        parts = {"generator_only": self.predict(X, mode="generator")}
        if self.model_.student is not None:
            parts["fast"] = self.predict(X, mode="fast")
        return parts

    def tensor(self, X: Images) -> Tensor:
        """Return images as the fitted model sees them, (N, C, S, S) uint8.

        Raises:
            PixelClusterError: images that cannot be used, or rows where the fit had images.
        """
        check_is_fitted(self)
        return _tensor(X, self._rows(X, fitting=False), self.model_.settings)

    def save(self, folder: str | Path) -> None:
        """Write the model into a folder: cluster.yaml and model.safetensors."""
        check_is_fitted(self)
        save_images_model(self.model_, folder)

    @classmethod
    def load(cls, folder: str | Path, *, seed: int = 0, device: str = "auto") -> ImageCluster:
        """Read a model written by `save`.

        Raises:
            PixelClusterError: no such model, or a file that is not ours.
        """
        model = load_images_model(folder, choose_device(device))
        loaded = cls(len(model.proportions), settings=model.settings, seed=seed, device=device)
        loaded.model_ = model
        loaded.labels_ = model.probabilities.argmax(1).numpy()
        if model.settings.rows is not None:
            loaded.n_features_in_ = model.settings.rows.length
        return loaded

    def _infer(self, X: Images, mode: Mode) -> tuple[Tensor, Tensor]:
        check_mode(mode, get_args(Mode))
        seed = check_seed(self.seed)
        images = self.tensor(X)
        wanted = self.model_.channels
        if images.shape[1] != wanted:
            if wanted == 1:
                raise PixelClusterError(
                    "the model was fitted on grey images, these are in colour; convert them"
                )
            images = images.expand(-1, wanted, -1, -1)
        return infer_images(self.model_, images, mode=mode, seed=seed, device=choose_device(self.device))

    def _rows(self, X: Images, *, fitting: bool) -> NDArray[Any] | None:
        """Return rows (N, F) of numbers; None: X is images."""
        if isinstance(X, (str, Path)) or (isinstance(X, np.ndarray) and X.ndim > 2):
            return None
        if isinstance(X, (list, tuple)) and (not X or np.ndim(X[0]) != 1):
            return None
        rows: NDArray[Any] = validate_data(self, X, reset=fitting, dtype=[np.float64, np.float32])
        return rows


def _tensor(X: Images, rows: NDArray[Any] | None, settings: ImageSettings) -> Tensor:
    """Return images (N, C, S, S) uint8 of rows, or where these are None of X."""
    if rows is not None:
        if settings.rows is None:
            raise PixelClusterError(
                "rows of numbers were given, but the model was fitted on images; give those"
            )
        return from_rows(rows, settings.rows, settings.side)
    if isinstance(X, (str, Path)):
        return from_files([Path(X)], settings.side)[0]
    if isinstance(X, np.ndarray):
        return from_array(X, settings.side)
    return from_sequence(cast("Sequence[Any]", X), settings.side)


def _known(labels: ArrayLike, n_images: int, n_clusters: int | str) -> Tensor:
    """Return known labels as a tensor, if they fit."""
    known = np.asarray(labels)
    if known.shape != (n_images,):
        raise PixelClusterError(
            f"{known.shape} labels for {n_images} images; give one per image, -1 for unknown"
        )
    if n_clusters == "auto":
        raise PixelClusterError("labels need a number of clusters; give n_clusters, not 'auto'")
    if not np.issubdtype(known.dtype, np.integer) or known.min() < -1 or known.max() >= int(n_clusters):
        raise PixelClusterError(
            f"labels must be whole numbers from -1 (unknown) to {int(n_clusters) - 1}; these are not"
        )
    if (known < 0).all():
        raise PixelClusterError("every label is -1, unknown; give some, or leave labels out")
    return torch.from_numpy(known.astype(np.int64))
