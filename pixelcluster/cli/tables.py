"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pixelcluster.segmenting.segmentation import ClusterRow


def print_clusters(rows: Sequence[ClusterRow]) -> None:
    """Print cluster, pixels, share and mean colour, largest cluster first."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("cluster", "pixels", "share"):
        table.add_column(name, justify="right")
    table.add_column("mean colour")
    for row in sorted(rows, key=lambda r: -r.pixels):
        colour = Text(row.mean_colour)
        if row.mean_colour:
            colour = Text.assemble(("   ", f"on {row.mean_colour}"), " ", row.mean_colour)
        table.add_row(str(row.cluster), f"{row.pixels:,}", f"{100 * row.share:.1f} %", colour)
    Console().print(table)
