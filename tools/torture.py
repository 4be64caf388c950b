"""Damage on purpose: bad inputs, kills, full disks, signals, NaN, long and crowded runs; what holds.

python tools/torture.py                                 every section, an hour
python tools/torture.py --section inputs --scale 0.02   some of it, short
"""

from __future__ import annotations

import sys
import time

import click
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.torture.rows import table
from pixelcluster.torture.sections import SECTIONS


@click.command(context_settings={"max_content_width": 110})
@click.option("--section", "names", type=click.Choice(list(SECTIONS)), multiple=True, help="Default: all.")
@click.option(
    "--scale",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Factor of the number of trials; at least one is made.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all damage.")
def main(names: tuple[str, ...], scale: float, seed: int) -> None:
    """Try to break the program; print a table of what was tried and what held; exit 1 if anything gave."""
    torch.set_num_threads(1)
    rows = []
    try:
        for name in names or SECTIONS:
            section, count = SECTIONS[name]
            started = time.perf_counter()
            rows += section(max(1, round(count * scale)), seed)
            click.echo(f"{name}: {time.perf_counter() - started:.0f} s", err=True)
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    click.echo(table(rows))
    if not all(row.met for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
