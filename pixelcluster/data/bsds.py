"""BSDS500 layout: images, each with several human segmentations into regions.

Source: Arbelaez, Maire, Fowlkes, Malik, Contour detection and hierarchical image segmentation, TPAMI 2011.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pixelcluster.data.files import choose, images_by_stem, read_label_png, read_stems
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.read import read_image


@dataclass(frozen=True)
class BsdsItem:
    """One image and its annotators.

    Attributes:
        stem: file name without suffix.
        image: (H, W, 3) float32 RGB in [0, 1].
        truths: one (H, W) uint8 map of region ids an annotator; an id means nothing across maps.
    """

    stem: str
    image: npt.NDArray[np.float32]
    truths: tuple[npt.NDArray[np.uint8], ...]


class Bsds:
    """Images of `images/<stem>.jpg` with `labels/<stem>_<k>.png`, one map an annotator, read on access.

    Args:
        root: folder that holds `images/` and `labels/`.
        image_list: one or several text files (plain or gzip) with one stem a line; None takes every image.
        limit: keep the first `limit` images only.

    Attributes:
        stems: the images kept, in the order of the list or sorted.

    Raises:
        PixelClusterError: a folder, a listed image or the labels of an image are missing.
    """

    def __init__(
        self, root: Path | str, image_list: Path | Sequence[Path] | None = None, limit: int | None = None
    ) -> None:
        """Index images and annotators."""
        root = Path(root)
        for folder in (root / "images", root / "labels"):
            if not folder.is_dir():
                raise PixelClusterError(
                    f"{show_path(folder)}: no such folder, wanted images/<stem>.jpg and labels/<stem>_<k>.png"
                )
        images = images_by_stem(root / "images")
        wanted = None if image_list is None else read_stems(image_list)
        self.stems = tuple(choose(tuple(images), wanted, show_path(root / "images"))[:limit])
        labels = _labels_by_stem(root / "labels")
        self._files = {stem: (images[stem], labels.get(stem, [])) for stem in self.stems}
        unlabelled = [stem for stem, (_, truths) in self._files.items() if not truths]
        if unlabelled:
            raise PixelClusterError(
                f"{show_path(root / 'labels')}: {len(unlabelled)} of {len(self.stems)} images have no "
                f"{unlabelled[0]}_<k>.png; add the labels or give an image list without them"
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.stems)

    def __getitem__(self, index: int) -> BsdsItem:
        """Return the image at `index` with all its annotators.

        Raises:
            PixelClusterError: a file is unreadable or the sizes of image and labels differ.
        """
        image_path, label_paths = self._files[self.stems[index]]
        image = read_image(image_path)
        truths = tuple(read_label_png(path) for path in label_paths)
        for path, truth in zip(label_paths, truths, strict=True):
            if truth.shape != image.shape[:2]:
                raise PixelClusterError(
                    f"{show_path(path)}: label is {truth.shape[1]} x {truth.shape[0]} px, its image "
                    f"{image.shape[1]} x {image.shape[0]}; both must be equal"
                )
        return BsdsItem(self.stems[index], image, truths)


def _labels_by_stem(folder: Path) -> dict[str, list[Path]]:
    """Group `<stem>_<k>.png` by stem, annotators in the order of k."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in folder.glob("*.png"):
        match = re.fullmatch(r"(.+)_(\d+)", path.stem)
        if match:
            found.setdefault(match[1], []).append((int(match[2]), path))
    return {stem: [path for _, path in sorted(pairs)] for stem, pairs in found.items()}
