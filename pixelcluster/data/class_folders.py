"""Any image set sorted into folders: train/CLASS/ and test/CLASS/, images of one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixelcluster.data.splits import Images, ImageSet, Labels
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.read import list_images, read_image


def read_class_folders(root: Path) -> ImageSet:
    """Return the images below `train/` and `test/`, RGB, with the name of their folder as class.

    Args:
        root: holds both folders, each with one folder a class; classes are sorted by name.

    Raises:
        PixelClusterError: a part is missing, a file cannot be read, sizes differ, or a class of the test part
            does not occur in the training part.
    """
    names = tuple(path.name for path in _folders(root / "train"))
    strangers = [path.name for path in _folders(root / "test") if path.name not in names]
    if strangers:
        raise PixelClusterError(
            f"{show_path(root)}: test/{show_path(strangers[0])} has no folder of this name in train/"
        )
    parts = [_read(root / part, names) for part in ("train", "test")]
    return ImageSet("class-folders", *parts[0], *parts[1], names)


def _folders(part: Path) -> list[Path]:
    """Return the folders of the classes."""
    folders = sorted(path for path in part.glob("[!.]*") if path.is_dir())
    if not folders:
        raise PixelClusterError(f"{show_path(part)}: no folders, wanted one a class with its images")
    return folders


def _read(part: Path, names: tuple[str, ...]) -> tuple[Images, Labels]:
    """Return images (N, H, W, 3) uint8 and classes (N,) of a part."""
    images: list[Images] = []
    labels: list[int] = []
    for folder in _folders(part):
        for path in list_images([folder]):
            image = np.round(255 * read_image(path)).astype(np.uint8)
            if images and image.shape != images[0].shape:
                raise PixelClusterError(
                    f"{show_path(path)}: {image.shape[1]} x {image.shape[0]} px, the first image is "
                    f"{images[0].shape[1]} x {images[0].shape[0]}; resize them to one size"
                )
            images.append(image)
            labels.append(names.index(folder.name))
    return np.stack(images), np.array(labels, dtype=np.int64)
