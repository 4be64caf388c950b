"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pixelcluster.segmenting.segmentation import ClusterRow

_MOST_ROWS = 40


def print_clusters(rows: Sequence[ClusterRow]) -> None:
    """Print cluster, pixels, share and mean of clusters, the `_MOST_ROWS` largest, largest first.

    The mean is a colour or, of a raster of one band, a value.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("cluster", "pixels", "share"):
        table.add_column(name, justify="right")
    valued = any(row.mean_value is not None for row in rows)
    table.add_column("mean value" if valued else "mean colour", justify="right" if valued else "left")
    named = any(row.name for row in rows)
    if named:
        table.add_column("name")
    for row in sorted(rows, key=lambda r: -r.pixels)[:_MOST_ROWS]:
        mean = Text(row.mean_colour)
        if row.mean_value is not None:
            mean = Text(f"{row.mean_value:.6g}")
        elif row.mean_colour:
            mean = Text.assemble(("   ", f"on {row.mean_colour}"), " ", row.mean_colour)
        called = [Text(row.name)] if named else []
        table.add_row(str(row.cluster), f"{row.pixels:,}", f"{100 * row.share:.1f} %", mean, *called)
    Console().print(table)
    if len(rows) > _MOST_ROWS:
        click.echo(f"... and {len(rows) - _MOST_ROWS} more; --json has all")


def print_image_clusters(clusters: NDArray[np.int64], margins: NDArray[np.float32]) -> None:
    """Print cluster, images, share and median margin (nats) of clusters (N,), largest first."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("cluster", "images", "share", "median margin"):
        table.add_column(name, justify="right")
    counts = np.bincount(clusters)
    for cluster in np.argsort(-counts, kind="stable"):
        if counts[cluster]:
            table.add_row(
                str(cluster),
                f"{counts[cluster]:,}",
                f"{counts[cluster] / len(clusters):.1%}",
                f"{np.median(margins[clusters == cluster]):.1f}",
            )
    Console().print(table)
