"""What is clustered: images with an id each, and the labels known of them."""

from __future__ import annotations

import csv
import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS, check_regular_file, file_size

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Given:
    """What a run is given.

    Attributes:
        source: a folder or file of images, an npz file, or with `root` the name of a data set (its training
            part).
        root: where the data set is.
        labels: CSV file of "id,label": images whose cluster is known.
        began: folder that relative paths are relative to; None: where the process is.
        max_pixels: largest accepted height x width of an image file.
    """

    source: str
    root: Path | None = None
    labels: Path | None = None
    began: Path | None = None
    max_pixels: int = MAX_PIXELS

    def to_json(self) -> dict[str, str | None]:
        """Return what finds the same files from any folder, and names them as now."""
        given = {"source": self.source, "root": self.root, "labels": self.labels}
        texts = {name: None if path is None else str(path) for name, path in given.items()}
        return texts | {"began": str(self.began or Path.cwd()), "max_pixels": str(self.max_pixels)}

    @classmethod
    def of_json(cls, texts: Mapping[str, str | None]) -> Given:
        """Undo `to_json`."""
        source, *paths = (texts[name] for name in ("source", "root", "labels", "began"))
        root, labels, began = (None if path is None else Path(path) for path in paths)
        return cls(str(source), root, labels, began, int(str(texts["max_pixels"])))

    def found(self, path: Path | str) -> Path:
        """Return where a path of the run is."""
        return Path(self.began or "", path)


def read_input(given: Given, side: int) -> tuple[Tensor, list[str], list[tuple[Path, str]]]:
    """Return images (N, C, S, S) uint8, their ids and what could not be read.

    Args:
        given: what to read.
        side: S in pixels.

    Raises:
        PixelClusterError: nothing of the kind, or no image.
    """
    from pixelcluster.cluster.to_tensor import from_array, from_files

    source, root = given.source, given.root
    if of_a_set(source, root):
        from pixelcluster.data.image_sets import load_image_set

        images = load_image_set(source, None if root is None else given.found(root)).train
    elif source.lower().endswith(".npz"):
        images = _of_npz(given.found(source))
    else:
        folder = given.found(source)
        if not folder.exists():
            _refuse_set(source)
        tensor, paths, failures = from_files([folder], side, max_pixels=given.max_pixels)
        # An id is the path as it was given, wherever the files are found now.
        return tensor, [str(Path(source, path.relative_to(folder))) for path in paths], failures
    return from_array(images, side), [str(index) for index in range(len(images))], []


def of_a_set(source: str, root: Path | None) -> bool:
    """Whether a run clusters the training part of a named data set."""
    return root is not None or source == "digits"


def _refuse_set(source: str) -> None:
    """Say what is wanted where a path that does not exist is the name of a data set."""
    from pixelcluster.data.image_sets import NAMES

    if source in NAMES:
        raise PixelClusterError(
            f"{source}: names a data set, which is read from disk; say where it is with --root PATH"
        )


def read_labels(path: Path, ids: list[str]) -> NDArray[np.int64]:
    """Return known labels (N,), -1 where unknown, from a CSV file of "id,label" with or without a header.

    Raises:
        PixelClusterError: an unreadable file, a line that is no pair, an id that no image has.
    """
    places = {name: index for index, name in enumerate(ids)}
    bare = Counter(Path(name).name for name in ids)
    places = {Path(name).name: index for name, index in places.items() if bare[Path(name).name] == 1} | places
    known = np.full(len(ids), -1, dtype=np.int64)
    file_size(path)  # a pipe would be waited for
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise PixelClusterError(
            f"{show_path(path)}: cannot be read; wanted a CSV file of id,label"
        ) from error
    for number, row in enumerate(rows, 1):
        if not row or (number == 1 and row[-1].strip() == "label"):
            continue
        if len(row) != 2 or not re.fullmatch(r"\s*\d+\s*", row[1]):
            raise PixelClusterError(f"{show_path(path)}: line {number} is {','.join(row)!r}; wanted id,label")
        if row[0] not in places:
            raise PixelClusterError(
                f"{show_path(path)}: line {number} names {row[0]!r}, but no image has that id; "
                f"ids look like {ids[0]!r}, and a bare file name will do where only one image has it"
            )
        known[places[row[0]]] = int(row[1])
    return known


def _of_npz(path: Path) -> NDArray[np.uint8]:
    """Return the first array of images in an npz file."""
    check_regular_file(path)
    try:
        # Opened here: numpy leaves the file open where it is no archive.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = [archive[name] for name in archive.files]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise PixelClusterError(f"{show_path(path)}: is no npz file ({reason})") from error
    images = [array for array in arrays if array.ndim in (3, 4)]
    if not images:
        raise PixelClusterError(
            f"{show_path(path)}: holds no images; wanted an array (N, H, W) or (N, H, W, C)"
        )
    chosen: NDArray[np.uint8] = images[0]
    return chosen
