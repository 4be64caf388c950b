"""One HTML file of a run: every picture before and after, its clusters, and how they were made."""

from __future__ import annotations

import base64
import io
import math
import platform
import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

import pixelcluster
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.naming import refuse_replacing_inputs
from pixelcluster.io.write import atomic_write, check_writable, make_folder
from pixelcluster.render.overlay import overlay, share_text
from pixelcluster.render.palette import hex_colours

if TYPE_CHECKING:
    from pixelcluster.segmenting.runs.jobs import Outcome

MAX_PICTURES = 100
MAX_SIDE = 900  # pixels


@dataclass(frozen=True)
class Page:
    """The small pictures of one input, as data URIs of one size."""

    width: int
    height: int
    before: str
    after: str
    colours: list[str]
    """Of the clusters, "#rrggbb"."""
    entropy: str | None = None


class Album:
    """Small pictures of the first inputs, kept until the report is written.

    Args:
        limit: how many inputs are pictured; the others would make the file too large to open.
    """

    def __init__(self, limit: int = MAX_PICTURES) -> None:
        self.limit = limit
        self.pages: dict[Path, Page] = {}

    def add(
        self,
        source: Path,
        image: NDArray[np.float32],
        label_map: NDArray[np.integer],
        palette: NDArray[np.uint8],
        entropy: NDArray[np.float32] | None = None,
    ) -> None:
        """Keep small pictures of an input, unless the album is full.

        Args:
            source: the input.
            image: (H, W, 3) in [0, 1].
            label_map: (H, W) ids, 0 .. K-1.
            palette: (K, 3) uint8.
            entropy: (H, W) in nats, from 0 to ln K.
        """
        if len(self.pages) >= self.limit:
            return
        # A stride first: a full-size copy of 100 megapixels would cost more than the picture is worth.
        step = max(1, max(label_map.shape) // (2 * MAX_SIDE))
        image, label_map = image[::step, ::step], label_map[::step, ::step]
        scale = min(1.0, MAX_SIDE / max(label_map.shape))
        height, width = (max(1, round(n * scale)) for n in label_map.shape)
        levels = (image * 255 + 0.5).astype(np.uint8)
        before = Image.fromarray(levels).resize((width, height), Image.Resampling.BOX)
        ids = Image.fromarray(label_map.astype(np.int32)).resize((width, height), Image.Resampling.NEAREST)
        small = np.asarray(before, dtype=np.float32) / np.float32(255)
        doubt = None
        if entropy is not None:
            share = Image.fromarray(entropy[::step, ::step] / np.float32(math.log(max(len(palette), 2))))
            grey = np.asarray(share.resize((width, height), Image.Resampling.BOX)) * 255
            doubt = _data_uri(Image.fromarray(grey.round().clip(0, 255).astype(np.uint8)))
        after = _data_uri(overlay(small, np.asarray(ids), palette))
        self.pages[source] = Page(width, height, _data_uri(before), after, hex_colours(palette), doubt)


def check_report(path: Path, sources: Container[str], *, overwrite: bool = False) -> None:
    """Say before any work that a report cannot be written; create its folder where missing.

    Args:
        path: of the HTML file.
        sources: `real_paths` of the files being read, which it may not replace.
        overwrite: whether an existing file may be replaced.

    Raises:
        PixelClusterError: the name does not end in .html or .htm, is an input or exists, or the folder
            cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise PixelClusterError(f"{show_path(path)}: a report is a web page; end its name in .html")
    refuse_replacing_inputs([path], sources)
    make_folder(path.parent)
    check_writable(path, overwrite=overwrite)


def write_report(
    path: Path,
    outcomes: Sequence[Outcome],
    pages: Mapping[Path, Page],
    settings: Mapping[str, object],
    *,
    overwrite: bool = False,
) -> None:
    """Write the report, whole or not at all; it asks nothing of the network.

    Args:
        path: of the HTML file; its folder must exist.
        outcomes: of all inputs.
        pages: pictures of some of them.
        settings: shown as they are, by name.
        overwrite: replace an existing file.

    Raises:
        PixelClusterError: the file exists, or cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("pixelcluster", "render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"path": show_path, "share": share_text}
    template = environment.get_template("report.html.jinja")
    pieces = template.generate(
        pictured=[outcome for outcome in outcomes if outcome.source in pages],
        others=[outcome for outcome in outcomes if outcome.error is None and outcome.source not in pages],
        failed=[outcome for outcome in outcomes if outcome.error is not None],
        pages=pages,
        settings=settings,
        versions=versions(),
        total=len(outcomes),
    )
    # Undecodable bytes that reach a message are shown escaped: HTML is UTF-8, which cannot hold them.
    with (
        atomic_write(path, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace") as handle,
    ):
        handle.writelines(pieces)


def versions() -> dict[str, str]:
    """Name the versions of everything that took part: what was not imported did not."""
    found = {"pixelcluster": pixelcluster.__version__, "Python": platform.python_version()}
    for name, module in {"numpy": "numpy", "Pillow": "PIL", "torch": "torch", "rasterio": "rasterio"}.items():
        if module in sys.modules:
            found[name] = str(sys.modules[module].__version__)
    return found


def _data_uri(picture: Image.Image) -> str:
    """Encode a picture as PNG where that is the smaller (drawings), else as JPEG (photographs)."""
    encoded = {}
    for kind, options in {"png": {}, "jpeg": {"quality": 85, "subsampling": 0}}.items():
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        encoded[kind] = buffer.getvalue()
    kind = min(encoded, key=lambda name: len(encoded[name]))
    return f"data:image/{kind};base64,{base64.b64encode(encoded[kind]).decode('ascii')}"
