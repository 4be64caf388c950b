"""Label maps to pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.label_map import LabelFile, png_note, read_label_file
from pixelcluster.io.naming import Place, plan_places, real_paths, refuse_replacing_inputs
from pixelcluster.io.read import SUFFIXES, files_below, read_image
from pixelcluster.io.write import atomic_set, make_folder
from pixelcluster.render.overlay import overlay
from pixelcluster.render.palette import categorical
from pixelcluster.render.palette_file import chosen_palette

Output = tuple[str, Callable[[Path], None]]
"""The end of a file's name, and what writes the file to a path."""

_LARGEST_IDS = 1_000_000
_LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".npz")


@dataclass(frozen=True)
class Look:
    """How label maps become pictures."""

    palette: str | None = None
    """A name in `PALETTES`, a palette file, or None for the map's own colours, else categorical."""
    image: Path | None = None
    """The picture under the colours; for `export_pictures` also a folder, see `matching_image`."""
    opacity: float = 0.5
    """Of the colours over the picture, 0 to 1."""
    max_pixels: int = MAX_PIXELS


def colourise(path: Path, look: Look) -> Image.Image:
    """Draw one label map.

    Args:
        path: a label map that `read_label_map` reads.
        look: palette and picture.

    Returns:
        RGB picture of the label map's size.

    Raises:
        PixelClusterError: unreadable files, sizes that differ, or a palette with too few colours.
    """
    found = read_label_file(path, max_pixels=look.max_pixels)
    labels, picture = found.ids, None
    if look.image is not None:
        picture = read_image(look.image, max_pixels=look.max_pixels)
        if picture.shape[:2] != labels.shape:
            raise PixelClusterError(
                f"{show_path(path)}: label map is {labels.shape[1]} x {labels.shape[0]}, but "
                f"{show_path(look.image)} is "
                f"{picture.shape[1]} x {picture.shape[0]}; give the image it was made from"
            )
    colours = label_colours(path, found, look.palette, picture)
    if picture is None:
        return Image.fromarray(colours[labels])
    return overlay(picture, labels, colours, opacity=look.opacity)


def export_pictures(
    inputs: Sequence[Path], output: Path, look: Look, *, overwrite: bool = False
) -> tuple[list[Path], list[str]]:
    """Draw label maps into a folder as ``<stem>_colour.png``; see `export_files`."""

    def one(place: Place) -> list[Output]:
        mine = look
        if look.image is not None and os.path.isdir(look.image):
            below = place.folder.relative_to(output)
            mine = replace(look, image=matching_image(place.source, look.image, below))
        picture = colourise(place.source, mine)
        note = png_note("coloured label map")
        return [("_colour.png", lambda target: picture.save(target, "PNG", pnginfo=note))]

    return export_files(inputs, output, one, overwrite=overwrite)


def export_files(
    inputs: Sequence[Path], output: Path, one: Callable[[Place], list[Output]], *, overwrite: bool = False
) -> tuple[list[Path], list[str]]:
    """Make files of label maps in a folder, going on past bad ones.

    Args:
        inputs: label maps, and folders, searched recursively for .png, .tif and .npz (in a folder written by
            `pixelcluster segment`, only the label maps are taken).
        output: the folder.
        one: place of a label map -> its outputs, each the end of a name and what writes it.
        overwrite: replace existing files.

    Returns:
        The files written, and one message for each input that failed.
    """
    groups, failures = find_label_maps(inputs)
    written: list[Path] = []
    places = _plan(groups, output)
    sources = real_paths(place.source for place in places)
    for place in places:
        try:
            written += _export(place, one(place), overwrite, sources)
        except PixelClusterError as error:
            failures.append(str(error))
    return written, failures


def find_label_maps(inputs: Sequence[Path]) -> tuple[list[tuple[Path, list[Path]]], list[str]]:
    """Return each input with the label maps found there, and a message for each folder without any.

    What an earlier input held is left out.
    """
    groups: list[tuple[Path, list[Path]]] = []
    failures: list[str] = []
    known: set[str] = set()
    for item in inputs:
        try:
            found = _label_maps_below(item) if os.path.isdir(item) else [item]
        except PixelClusterError as error:
            failures.append(str(error))
            continue
        real = {path: os.path.realpath(path) for path in found}
        groups.append((item, [path for path in found if real[path] not in known]))
        known.update(real.values())
    return groups, failures


def _plan(groups: Sequence[tuple[Path, list[Path]]], output: Path) -> list[Place]:
    """Give each label map a place, named without ``_labels``; see `plan_places`."""
    bare = [
        (_bare(item) if found == [item] else item, [_bare(path) for path in found]) for item, found in groups
    ]
    sources = [path for _, found in groups for path in found]
    return [
        replace(place, source=source)
        for place, source in zip(plan_places(bare, output), sources, strict=True)
    ]


def _bare(label_map: Path) -> Path:
    return label_map.with_stem(label_map.stem.removesuffix("_labels") or label_map.stem)


def matching_image(label_map: Path, folder: Path, below: Path) -> Path:
    """Find the picture a label map was made from: same stem, without ``_labels``.

    Args:
        label_map: for example ``cat_labels.png``, or ``cat_jpg_labels.png`` where several are called cat.
        folder: where ``cat.jpg`` lies, or `below` does.
        below: folder of the label map in the folder of all; the same one in `folder` is looked at first.

    Returns:
        The picture.

    Raises:
        PixelClusterError: none, or several.
    """
    stem, tried = label_map.stem.removesuffix("_labels"), dict.fromkeys([folder / below, folder])
    found: list[Path] = []
    for place in tried:
        if not found and os.path.isdir(place):
            found = [place / name for name in os.listdir(place) if _is_picture_of(stem, name)]
            found = [path for path in found if path != label_map]
    if len(found) != 1:
        places = " or ".join(map(show_path, tried))
        raise PixelClusterError(
            f"{show_path(label_map)}: {len(found)} images named {show_path(stem)} in {places}, wanted 1; "
            "pass the one with --image"
        )
    return found[0]


def _is_picture_of(stem: str, name: str) -> bool:
    own, suffix = os.path.splitext(name)
    return suffix.lower() in SUFFIXES and stem in (own, f"{own}_{suffix[1:]}")


def _export(place: Place, outputs: Sequence[Output], overwrite: bool, sources: Container[str]) -> list[Path]:
    targets = [place.file(role) for role, _ in outputs]
    refuse_replacing_inputs(targets, sources)
    make_folder(place.folder)
    with atomic_set(targets, overwrite=overwrite) as temporaries:
        for temporary, (_, write) in zip(temporaries, outputs, strict=True):
            write(temporary)
    return targets


def _label_maps_below(folder: Path) -> list[Path]:
    files = [path for path in files_below(folder) if path.suffix.lower() in _LABEL_SUFFIXES]
    if not files:
        raise PixelClusterError(
            f"{show_path(folder)}: no label map in this folder; known suffixes are .png, .tif and .npz"
        )
    return [path for path in files if path.stem.endswith("_labels")] or files


def label_colours(
    path: Path, found: LabelFile, palette: str | None, picture: NDArray[np.float32] | None
) -> NDArray[np.uint8]:
    """The colours of a label map, (K, 3): those of a palette's name or file, or its own.

    Raises:
        PixelClusterError: no such palette, or too few colours in it.
    """
    n_ids = int(found.ids.max()) + 1
    if n_ids > _LARGEST_IDS:
        raise PixelClusterError(
            f"{show_path(path)}: has ids up to {n_ids - 1}; at most {_LARGEST_IDS} are coloured, renumber"
        )
    if palette is not None:
        return chosen_palette(palette, n_ids, show_path(path), image=picture, label_map=found.ids)
    own = found.palette
    return categorical(n_ids) if own is None or len(own) < n_ids else own
