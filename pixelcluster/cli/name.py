"""`pixelcluster name`."""

from __future__ import annotations

from pathlib import Path

import click

from pixelcluster.cli import params
from pixelcluster.errors import PixelClusterError, show_path


@click.command("name", no_args_is_help=True)
@click.argument("model", type=params.PATH, metavar="MODEL")
@click.argument("names", nargs=-1, metavar="[ID=NAME...]")
def command(model: Path, names: tuple[str, ...]) -> None:
    """Name clusters of a trained model: legends, tables and label maps then show the names.

    Without ID=NAME, list the clusters in use and their names.

    \b
    Examples:
        pixelcluster name model/               lists the names
        pixelcluster name model/ 0=sky "3=wet road"
        pixelcluster name model/ 3=          takes the name away
    """
    from pixelcluster.segmenting.relabel import name_clusters, read_settings

    if not names:
        config = read_settings(model)
        for i in range(config.n_clusters if config.n_clusters != "auto" else 0):
            if i not in config.clusters.merged:
                click.echo(f"{i}  {config.clusters.names.get(i, '')}".rstrip())
        return
    for i, name in name_clusters(model, dict(map(_parse, names))).clusters.names.items():
        click.echo(f"{i}  {name}")


def _parse(text: str) -> tuple[int, str]:
    number, equals, name = text.partition("=")
    if not equals or not number.strip().isdecimal():
        raise PixelClusterError(f"{show_path(text)}: is not ID=NAME, such as 0=sky")
    return int(number), name.strip()
