"""`pixelcluster merge`."""

from __future__ import annotations

from pathlib import Path

import click

from pixelcluster.cli import params


@click.command("merge", no_args_is_help=True)
@click.argument("model", type=params.PATH, metavar="MODEL")
@click.argument("ids", type=params.NumberList(0), metavar="ID,ID,...", required=False)
@click.option("--undo", is_flag=True, help="Take all merges of the model back; names stay.")
def command(model: Path, ids: tuple[int, ...] | None, undo: bool) -> None:
    """Make clusters of a trained model one, without fitting again.

    The smallest id stays and takes the pixels of the others; every other id keeps its meaning. Only
    config.yaml changes: --undo takes all merges back, and every cluster is again what training made it.

    \b
    Examples:
        pixelcluster merge model/ 2,5
        pixelcluster merge model/ 0,3,4
        pixelcluster merge model/ --undo
    """
    from pixelcluster.segmenting.relabel import merge_clusters, split_clusters

    if undo == (ids is not None):
        raise click.UsageError("give either the clusters to merge, such as 2,5, or --undo")
    if ids is None:
        for source, taker in split_clusters(model).items():
            click.echo(f"cluster {source} is its own again, no longer part of {taker}")
        return
    merged = merge_clusters(model, ids).clusters.merged
    for taker in sorted(set(merged.values())):
        click.echo(f"cluster {taker} <- {', '.join(str(i) for i, t in merged.items() if t == taker)}")
