"""`pixelcluster merge`."""

from __future__ import annotations

from pathlib import Path

import click

from pixelcluster.cli import params


@click.command("merge", no_args_is_help=True)
@click.argument("model", type=params.PATH, metavar="MODEL")
@click.argument("ids", type=params.NumberList(0), metavar="ID,ID,...")
def command(model: Path, ids: tuple[int, ...]) -> None:
    """Make clusters of a trained model one, without fitting again.

    The smallest id stays and takes the pixels of the others; every other id keeps its meaning.

    \b
    Examples:
        pixelcluster merge model/ 2,5
        pixelcluster merge model/ 0,3,4
    """
    from pixelcluster.segmenting.relabel import merge_clusters

    merged = merge_clusters(model, ids).clusters.merged
    for taker in sorted(set(merged.values())):
        click.echo(f"cluster {taker} <- {', '.join(str(i) for i, t in merged.items() if t == taker)}")
