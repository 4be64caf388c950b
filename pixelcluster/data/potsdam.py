"""ISPRS Potsdam: aerial tiles with near infrared, halved and cut into 200 px patches; 6 or 3 classes.

Source: ISPRS 2D semantic labelling benchmark (38 tiles of 6000 x 6000 px at 5 cm); preprocessing and the
three merged classes of Ji, Henriques, Vedaldi, Invariant information clustering, ICCV 2019.

Deviations: rivals train on windows of 128 px of the patches, where the protocol trains on whole patches.
Files without infrared are read as RGB, and rivals then see and jitter them as they do COCO-Stuff.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.data.crops import window
from pixelcluster.data.files import choose, read_stems
from pixelcluster.data.labelled import IGNORE, UNKNOWN, LabelledImage, same_size
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import load_image

PATCH = 200
PUBLISHED = 38
LABELLED = tuple(
    f"{row}_{column}" for row in range(2, 8) for column in (range(10, 13) if row < 6 else range(7, 13))
)
"""The 24 tiles whose labels were published first; the protocol scores these and fits on all."""
NAMES = ("road", "building", "low vegetation", "tree", "car", "clutter")
COLOURS = ((255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0))
"""Of `NAMES` in the label files; black is unlabelled (the eroded borders)."""
GROUPS: dict[str, tuple[str, ...]] = {
    "road and car": ("road", "car"),
    "building and clutter": ("building", "clutter"),
    "vegetation": ("low vegetation", "tree"),
}

_FILE = re.compile(r"top_potsdam_(\d+_\d+)_(RGBIR|IRRG|RGB|label|label_noBoundary)\.tiff?")
_BANDS = (("RGBIR",), ("RGB", "IRRG"), ("RGB",))
"""Kinds of files that make an image, the first that is there."""
_PLACES = {"RGBIR": "4_Ortho_RGBIR", "IRRG": "3_Ortho_IRRG", "RGB": "2_Ortho_RGB"}


class Potsdam:
    """The patches of a Potsdam folder, tile by tile, read from disk on access.

    Files are found by their official names, top_potsdam_2_10_RGBIR.tif and so on, anywhere below the folder
    (4_Ortho_RGBIR/, 3_Ortho_IRRG/, 2_Ortho_RGB/, 5_Labels_all/). Images come from RGBIR; without it from RGB
    and the first channel of IRRG; without that from RGB alone, which `notes` says. The tile read last stays
    in memory, so read patches in their order. Patches of tiles outside `LABELLED`, or without a label file,
    are there to learn from: no pixel of them is scored.

    Args:
        root: folder of the data set.
        classes: 6, or 3 for `GROUPS`.
        image_list: one or several text files (plain or gzip) with one stem (`2_10_r00_c14`) a line; None
            takes every patch.

    Attributes:
        stems: the patches, tile, row and column.
        class_names: one name a class.
        notes: what was found, beside what the published set has.

    Raises:
        PixelClusterError: no tile is found, or one lacks a kind of file that others have.
    """

    def __init__(
        self, root: Path | str, classes: int = 6, image_list: Path | Sequence[Path] | None = None
    ) -> None:
        """Index the files; only their headers are read."""
        root = Path(root)
        self._files = _index(root)
        self._bands = _common_bands(self._files, root)
        self._labels = {
            tile: files.get("label", files.get("label_noBoundary", Path()))
            for tile, files in self._files.items()
            if tile in LABELLED and {"label", "label_noBoundary"} & set(files)
        }
        self._table = class_table(classes)
        self.class_names = tuple(GROUPS) if classes == len(GROUPS) else NAMES
        places: dict[str, tuple[str, int, int]] = {}
        for tile, files in self._files.items():
            rows, columns = (side // 2 // PATCH for side in _size(files[self._bands[0]]))
            for row in range(rows):
                for column in range(columns):
                    places[f"{tile}_r{row:02}_c{column:02}"] = (tile, row, column)
        stems = choose(tuple(places), None if image_list is None else read_stems(image_list), show_path(root))
        self._places = {stem: places[stem] for stem in stems}
        self.stems = tuple(self._places)
        self.notes = (
            f"{len(self._files)} tiles, {len(self._labels)} of them labelled; the published set has "
            f"{PUBLISHED}, {len(LABELLED)} labelled",
            f"{len(self.stems):,} patches; of the published tiles 8,550 are cut",
            f"images from {' + '.join(self._bands)}; the protocol's are RGBIR",
        )
        self._held: tuple[str, NDArray[np.uint8], NDArray[np.uint8]] | None = None

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.stems)

    def __getitem__(self, index: int) -> LabelledImage:
        """Return the patch at `index`: (200, 200, 4) RGB and infrared, or 3 channels; its mask is all True.

        Raises:
            PixelClusterError: a file is unreadable, has another number of channels, other colours than the
                code, or sizes differ.
        """
        stem = self.stems[index]
        tile, row, column = self._places[stem]
        if self._held is None or self._held[0] != tile:
            self._held = (tile, *self._read(tile))
        _, pixels, labels = self._held
        image = window(pixels, row * PATCH, column * PATCH, PATCH).astype(np.float32) / np.float32(255)
        label = window(labels, row * PATCH, column * PATCH, PATCH)
        return LabelledImage(stem, image, label, np.ones(label.shape, dtype=np.bool_))

    def _read(self, tile: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return image (h, w, C) and classes (h, w) of a tile at half size."""
        files = self._files[tile]
        parts = [_pixels(files[band], 4 if band == "RGBIR" else 3) for band in self._bands]
        if len(parts) == 2:
            if parts[0].shape != parts[1].shape:
                raise PixelClusterError(
                    f"{show_path(files['IRRG'])}: {parts[1].shape[:2]} px, RGB of the tile "
                    f"{parts[0].shape[:2]}; both must be equal"
                )
            parts[1] = parts[1][..., :1]
        full = np.concatenate(parts, axis=2)
        # Half size, bilinear: the mean of 2 x 2 pixels, rounded to the 8 bits of the files.
        halved = cv2.resize(full, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_LINEAR)
        image = halved.astype(np.uint8, copy=False)
        if tile not in self._labels:
            return image, np.full(image.shape[:2], IGNORE, dtype=np.uint8)
        path = self._labels[tile]
        colours = _pixels(path, 3)
        same_size(full, colours, path)
        return image, decode_colours(colours[::2, ::2][: image.shape[0], : image.shape[1]], self._table, path)


def class_table(classes: int) -> NDArray[np.uint8]:
    """Return the table (8,) uint8 from the colour's bits (4 red + 2 green + 1 blue) to class ids.

    Black is 255, not scored; magenta, which no class has, `UNKNOWN`.

    Raises:
        PixelClusterError: neither 3 nor 6 classes.
    """
    if classes not in (len(GROUPS), len(NAMES)):
        raise PixelClusterError(f"Potsdam has {len(GROUPS)} or {len(NAMES)} classes, got {classes}")
    table = np.full(8, UNKNOWN, dtype=np.uint8)
    table[0] = IGNORE
    groups = list(GROUPS.values()) if classes == len(GROUPS) else [(name,) for name in NAMES]
    for name, (red, green, blue) in zip(NAMES, COLOURS, strict=True):
        bits = 4 * (red > 127) + 2 * (green > 127) + (blue > 127)
        table[bits] = next(index for index, names in enumerate(groups) if name in names)
    return table


def decode_colours(
    colours: NDArray[np.uint8], table: NDArray[np.uint8], path: Path = Path("label")
) -> NDArray[np.uint8]:
    """Return class ids (H, W) of label colours (H, W, 3).

    A channel counts as on from 128 up: some published files hold colours a few values off.

    Args:
        colours: RGB.
        table: see `class_table`.
        path: for the message.

    Raises:
        PixelClusterError: a colour that no class has.
    """
    bits = (colours > 127) @ np.array([4, 2, 1], dtype=np.uint8)
    classes: NDArray[np.uint8] = table[bits]
    if (classes == UNKNOWN).any():
        red, green, blue = colours[classes == UNKNOWN][0]
        raise PixelClusterError(
            f"{show_path(path)}: colour ({red}, {green}, {blue}) found, which is no class of Potsdam; "
            "wanted the files of 5_Labels_all"
        )
    return classes


def _index(root: Path) -> dict[str, dict[str, Path]]:
    """Return the files of every tile with an image, by kind; tiles in the order of their numbers."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(root.rglob("top_potsdam_*")):
        match = _FILE.fullmatch(path.name)
        if match is not None:
            found.setdefault(match[1], {}).setdefault(match[2], path)
    tiles = [tile for tile, files in found.items() if set(files) & set(_PLACES)]
    if not tiles:
        raise PixelClusterError(
            f"{show_path(root)}: no tiles of Potsdam, wanted 4_Ortho_RGBIR/top_potsdam_2_10_RGBIR.tif and so "
            "on, and 5_Labels_all/top_potsdam_2_10_label.tif"
        )
    return {tile: found[tile] for tile in sorted(tiles, key=lambda tile: [int(n) for n in tile.split("_")])}


def _common_bands(files: dict[str, dict[str, Path]], root: Path) -> tuple[str, ...]:
    """Return the first kinds of `_BANDS` that are there, if every tile has them."""
    there = {kind for own in files.values() for kind in own}
    bands = next((bands for bands in _BANDS if set(bands) <= there), ("RGB",))
    for band in bands:
        missing = [tile for tile, own in files.items() if band not in own]
        if missing:
            raise PixelClusterError(
                f"{show_path(root)}: {len(missing)} of {len(files)} tiles have no {band} image, first "
                f"{_PLACES[band]}/top_potsdam_{missing[0]}_{band}.tif"
            )
    return bands


def _size(path: Path) -> tuple[int, int]:
    """Return height and width from the header."""
    try:
        with Image.open(path, formats=["TIFF"]) as image:
            return image.height, image.width
    except (OSError, SyntaxError) as error:
        raise PixelClusterError(f"{show_path(path)}: cannot read the TIFF header ({error})") from error


def _pixels(path: Path, channels: int) -> NDArray[np.uint8]:
    """Return the samples of a TIFF as they are, (H, W, channels) uint8."""
    pixels = _four_samples(path) if channels == 4 else np.asarray(load_image(path))
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != channels:
        raise PixelClusterError(
            f"{show_path(path)}: got {pixels.dtype} of shape {pixels.shape}, wanted 8 bits and {channels} "
            "channels"
        )
    return pixels.astype(np.uint8, copy=False)


def _four_samples(path: Path) -> NDArray[np.generic]:
    """Read with tifffile: Pillow drops a fourth sample that is not transparency."""
    try:
        return np.asarray(tifffile.imread(path))
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        way_out = "pip install imagecodecs" if "imagecodecs" in str(error) else "fetch it again"
        raise PixelClusterError(f"{show_path(path)}: cannot be read ({error}); {way_out}") from error
