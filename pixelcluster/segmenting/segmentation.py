"""The result of segmenting one image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError, counted
from pixelcluster.io.label_map import encode_label_map, label_format
from pixelcluster.io.write import atomic_write, make_folder
from pixelcluster.render.palette import categorical, hex_colours, mean_colours

if TYPE_CHECKING:
    from PIL import Image

_SHARES_SHOWN = 12
_NOTEBOOK_SIDE = 1000  # pixels


@dataclass(frozen=True)
class ClusterRow:
    """One line of the table: a cluster, how much of the image it covers, and its mean colour."""

    cluster: int
    pixels: int
    share: float
    mean_colour: str
    """"#rrggbb", or "" for a cluster without pixels."""
    name: str = ""
    """What people call it, where they have said so."""
    mean_value: float | None = None
    """Of a raster of one band, in the file's own unit; None elsewhere, and for a cluster without pixels."""


def cluster_rows(
    pixels: NDArray[np.integer],
    means: NDArray[np.floating],
    names: Sequence[str],
    values: NDArray[np.floating] | None = None,
) -> list[ClusterRow]:
    """Return the table of K clusters.

    Args:
        pixels: (K,).
        means: (K, 3) colours in [0, 1].
        names: K.
        values: (K,) means of a raster's one band.
    """
    colours = hex_colours((means * 255).round().astype(np.uint8))
    shares = pixels / max(1, pixels.sum())
    return [
        ClusterRow(
            cluster=i,
            pixels=int(pixels[i]),
            share=float(shares[i]),
            mean_colour=colours[i] if pixels[i] else "",
            name=name,
            mean_value=None if values is None or not pixels[i] else float(values[i]),
        )
        for i, name in enumerate(names)
    ]


@dataclass(frozen=True, repr=False)
class Segmentation:
    """A label map with everything needed to look at it and to save it."""

    image: NDArray[np.float32]
    """(H, W, 3) in [0, 1]."""
    label_map: NDArray[np.int32]
    """(H, W) cluster ids, 0 .. K-1."""
    n_clusters: int
    """K; with a trained model some clusters may be absent from this image."""
    probabilities: NDArray[np.float32] | None
    """(K, H, W), summing to 1 over K; None where not asked for. They are given this fit, and sure of
    themselves where it is: they do not say which clusters another fit would find."""
    entropy: NDArray[np.float32] | None
    """(H, W) entropy of the probabilities in nats, of which the same holds; None where not asked for."""
    palette: NDArray[np.uint8]
    """(K, 3) display colours."""
    names: tuple[str, ...] = ()
    """K names, "" for a cluster without one; empty where none has one."""
    info: Mapping[str, object] = field(default_factory=dict)
    """seconds, stack, mode, seed, ..."""

    @classmethod
    def build(
        cls,
        image: NDArray[np.float32],
        label_map: NDArray[np.integer],
        n_clusters: int,
        *,
        probabilities: NDArray[np.float32] | None = None,
        names: tuple[str, ...] = (),
        info: Mapping[str, object] | None = None,
    ) -> Segmentation:
        """Check the parts, and add entropy and a categorical palette.

        Args:
            image: (H, W, 3) float32 in [0, 1].
            label_map: (H, W) ids, 0 .. K-1.
            n_clusters: K.
            probabilities: (K, H, W), summing to 1 over K.
            names: of the K clusters, or none.
            info: what to remember about the run.

        Returns:
            The segmentation.

        Raises:
            PixelClusterError: shapes or ids that do not belong together.
        """
        if image.shape != (*label_map.shape, 3):
            raise PixelClusterError(
                f"image {image.shape} and label map {label_map.shape} differ; wanted (H, W, 3) and (H, W)"
            )
        if label_map.size == 0 or label_map.min() < 0 or label_map.max() >= n_clusters:
            raise PixelClusterError(
                f"label map needs ids from 0 to {n_clusters - 1}; renumber it or raise n_clusters"
            )
        if probabilities is not None and probabilities.shape != (n_clusters, *label_map.shape):
            raise PixelClusterError(
                f"probabilities {probabilities.shape} do not fit; wanted {(n_clusters, *label_map.shape)} "
                "(K, H, W)"
            )
        if names and len(names) != n_clusters:
            raise PixelClusterError(f"{len(names)} names for {n_clusters} clusters; give one each, or none")
        return cls(
            image=image,
            label_map=label_map.astype(np.int32, copy=False),
            n_clusters=n_clusters,
            probabilities=probabilities,
            entropy=None if probabilities is None else entropy_of(probabilities),
            palette=categorical(n_clusters),
            names=names,
            info=dict(info or {}),
        )

    def __repr__(self) -> str:
        height, width = self.label_map.shape
        shown = ", ".join(f"{100 * share:.0f}" for share in self.shares()[:_SHARES_SHOWN])
        more = ", ..." if self.n_clusters > _SHARES_SHOWN else ""
        return f"Segmentation({width} x {height}, {counted(self.n_clusters, 'cluster')}: {shown}{more} %)"

    def _repr_png_(self) -> bytes:
        """The overlay, for notebooks."""
        picture, png = self.overlay(), BytesIO()
        picture.thumbnail((_NOTEBOOK_SIDE, _NOTEBOOK_SIDE))
        picture.save(png, "PNG")
        return png.getvalue()

    def shares(self) -> NDArray[np.float64]:
        """Fraction of the image's pixels in each cluster: (K,), summing to 1."""
        return np.bincount(self.label_map.ravel(), minlength=self.n_clusters) / self.label_map.size

    def table(self) -> list[ClusterRow]:
        """One row a cluster, by id, absent clusters included."""
        pixels = np.bincount(self.label_map.ravel(), minlength=self.n_clusters)
        means = mean_colours(self.image, self.label_map, self.n_clusters)
        return cluster_rows(pixels, means, self.names or ("",) * self.n_clusters)

    def recoloured(self, palette: str) -> Segmentation:
        """Return it in the colours of a palette's name or file; see `render.palette_file.chosen_palette`."""
        from pixelcluster.render.palette_file import chosen_palette

        k, image, labels = self.n_clusters, self.image, self.label_map
        return replace(
            self, palette=chosen_palette(palette, k, "the image", image=image, label_map=labels)[:k]
        )

    def overlay(self, opacity: float = 0.5, legend: bool = True) -> Image.Image:
        """The image tinted by cluster, with boundaries.

        Args:
            opacity: 0 shows the image, 1 the flat colours.
            legend: whether ids and shares are written beneath.

        Returns:
            RGB picture.

        Raises:
            PixelClusterError: opacity outside [0, 1].
        """
        from pixelcluster.render.overlay import (
            overlay,
            swatches,
            with_legend,
        )  # fonts and drawing, only where wanted

        if not 0 <= opacity <= 1:
            raise PixelClusterError(f"opacity is {opacity}; wanted a number from 0 (image) to 1 (colours)")
        picture = overlay(self.image, self.label_map, self.palette, opacity=opacity)
        if not legend:
            return picture
        colours = swatches(self.image, self.label_map, self.palette, opacity=opacity)
        return with_legend(picture, colours, self.shares().tolist(), self.names)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the label map, whole or not at all; see `pixelcluster.io.label_map` for the formats.

        Args:
            path: ending in .png, .tif or .npz; its folder is made where missing. An NPZ holds ``label_map``
                (H, W) int32 and ``palette`` (K, 3) uint8, and where there are any ``names`` (K,) text,
                ``probabilities`` (K, H, W) float32 and ``entropy`` (H, W) float32 in nats.
            overwrite: replace an existing file.

        Raises:
            PixelClusterError: unknown suffix, existing file, or the folder cannot be written.
        """
        file_format = label_format(path)
        make_folder(Path(path).parent)
        with atomic_write(path, overwrite=overwrite) as temporary:
            self.encode(temporary, file_format)

    def encode(self, path: Path, file_format: str) -> None:
        """Write the label map to a path as it is, whatever its suffix (`save` without the safety)."""
        encode_label_map(
            path,
            self.label_map,
            self.palette,
            label_format(f"x.{file_format}"),
            probabilities=self.probabilities,
            entropy=self.entropy,
            names=self.names,
        )


def entropy_of(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shannon entropy over clusters.

    Args:
        probabilities: (K, H, W), summing to 1 over K.

    Returns:
        (H, W) in nats, from 0 to ln K.
    """
    total = np.zeros(probabilities.shape[1:], dtype=np.float32)
    for p in probabilities:  # one cluster at a time: K large maps would not fit beside the first K
        total -= p * np.log(np.maximum(p, np.finfo(np.float32).tiny))
    return np.maximum(total, 0)
