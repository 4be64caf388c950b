"""Label maps to other formats: masks, plain 16-bit ids, palettes, COCO."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.coco_rle import LabelledFile, coco_document, require_pycocotools
from pixelcluster.io.label_map import png_note, read_label_file
from pixelcluster.io.naming import Place
from pixelcluster.io.write import atomic_write, check_writable, make_folder
from pixelcluster.render.palette_file import palette_text
from pixelcluster.render.pictures import Output, export_files, find_label_maps, label_colours

Conversion = Literal["masks", "png16", "palette", "coco"]

COCO_NAME = "coco.json"

_UNSAFE = re.compile(r"[^\w-]+")
"""What is left out of a cluster's name in the name of a file."""
_LONGEST_NAME = 24


def convert(
    inputs: Sequence[Path],
    output: Path,
    to: Conversion,
    *,
    palette: str | None = None,
    overwrite: bool = False,
    max_pixels: int,
) -> tuple[list[Path], list[str]]:
    """Convert label maps into a folder, going on past bad ones.

    ========  ===========================================  ==================================================
    to        files                                        holds
    ========  ===========================================  ==================================================
    masks     ``<stem>_cluster0-sky.png``, one a cluster   1-bit PNG, white inside
    png16     ``<stem>_ids.png``                           16-bit grey PNG: the value is the id
    palette   ``<stem>_palette.gpl``                       the map's colours, GIMP's format
    coco      ``coco.json``, one for all inputs            COCO annotations, masks run-length encoded
    ========  ===========================================  ==================================================

    Args:
        inputs: label maps, and folders of them.
        output: the folder.
        to: what they become.
        palette: name or file of the colours for "palette"; None: the map's own.
        overwrite: replace existing files.
        max_pixels: largest accepted height x width.

    Returns:
        The files written, and one message for each input that failed.

    Raises:
        PixelClusterError: COCO without pycocotools, its file exists, or two maps call one cluster by
            different names.
    """
    if to == "coco":
        return _to_coco(inputs, output, overwrite, max_pixels)

    def one(place: Place) -> list[Output]:
        found = read_label_file(place.source, max_pixels=max_pixels)
        labels = found.ids
        if to == "masks":
            ids = [cluster for cluster in np.unique(labels).tolist() if cluster != found.nodata]
            return [_mask(cluster, found.names, labels == cluster) for cluster in ids]
        if to == "palette":
            text = palette_text(label_colours(place.source, found, palette, None), ".gpl", found.names)
            return [("_palette.gpl", lambda target: _write_text(target, text))]
        if labels.max() > 65535:
            raise PixelClusterError(f"{show_path(place.source)}: id {labels.max()} does not fit 16 bits")
        picture = Image.fromarray(labels.astype(np.uint16))
        note = png_note("cluster ids: grey value", found.names)
        return [("_ids.png", lambda target: picture.save(target, "PNG", pnginfo=note))]

    return export_files(inputs, output, one, overwrite=overwrite)


def _mask(cluster: int, names: Sequence[str], inside: NDArray[np.bool_]) -> Output:
    picture = Image.fromarray(inside)
    note = png_note(f"mask of cluster {cluster}")
    name = names[cluster] if cluster < len(names) else ""
    safe = _UNSAFE.sub("-", name)[:_LONGEST_NAME].strip("-")
    return f"_cluster{cluster}{safe and f'-{safe}'}.png", lambda target: picture.save(
        target, "PNG", pnginfo=note
    )


def _to_coco(
    inputs: Sequence[Path], output: Path, overwrite: bool, max_pixels: int
) -> tuple[list[Path], list[str]]:
    require_pycocotools()
    target = output / COCO_NAME
    if output.is_dir():
        check_writable(target, overwrite=overwrite)
    groups, failures = find_label_maps(inputs)
    files = []
    for root, found in groups:
        for path in found:
            try:
                labels, _, names, nodata = read_label_file(path, max_pixels=max_pixels)
                name = path.name if path == root else path.relative_to(root).as_posix()
                files.append(LabelledFile(name, labels, names, nodata))
            except PixelClusterError as error:
                failures.append(str(error))
    if not files:
        return [], failures
    text = json.dumps(coco_document(files))
    make_folder(output)
    with atomic_write(target, overwrite=overwrite) as temporary:
        _write_text(temporary, text)
    return [target], failures


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
