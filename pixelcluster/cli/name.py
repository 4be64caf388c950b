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

    Without ID=NAME, list the clusters in use: id, colour in samples.png and label maps, share of the training
    images, name.

    \b
    Examples:
        pixelcluster name model/               lists the clusters
        pixelcluster name model/ 0=sky "3=wet road"
        pixelcluster name model/ 3=          takes the name away
    """
    from pixelcluster.segmenting.relabel import name_clusters

    if not names:
        _list(model)
        return
    for i, name in name_clusters(model, dict(map(_parse, names))).clusters.names.items():
        click.echo(f"{i}  {name}")


def _parse(text: str) -> tuple[int, str]:
    number, equals, name = text.partition("=")
    if not equals or not number.strip().isdecimal():
        raise PixelClusterError(f"{show_path(text)}: is not ID=NAME, such as 0=sky")
    return int(number), name.strip()


def _list(model: Path) -> None:
    """Print a line for each cluster in use."""
    from rich.console import Console
    from rich.text import Text

    from pixelcluster.render.palette import categorical, hex_colours
    from pixelcluster.segmenting.relabel import read_settings, training_shares

    config = read_settings(model)
    k = config.n_clusters if config.n_clusters != "auto" else 0
    shares, console = training_shares(model, config), Console(soft_wrap=True, highlight=False)
    for i, colour in enumerate(hex_colours(categorical(k))):
        if i not in config.clusters.merged:
            share = f"  {100 * shares[i]:5.1f} %" if shares else ""
            name = config.clusters.names.get(i, "")
            line = Text.assemble(f"{i:3}  ", ("   ", f"on {colour}"), f" {colour}{share}  {name}")
            line.rstrip()
            console.print(line)
