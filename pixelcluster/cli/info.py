"""`pixelcluster info`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from pixelcluster.cli import params
from pixelcluster.errors import show_path


@click.command("info", no_args_is_help=True)
@click.argument("path", type=params.PATH, metavar="DIR|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(path: Path, as_json: bool) -> None:
    """Say what a model, label map or image holds.

    Of a model, K, names and mode come first, then every setting.

    \b
    Examples:
        pixelcluster info model/
        pixelcluster info photo_labels.png
        pixelcluster info photo.jpg --json
    """
    from pixelcluster.io.describe import describe

    facts = describe(path)
    if as_json:
        click.echo(json.dumps(facts, indent=2, default=str))
        return
    click.echo(show_path(path))
    _print(facts, indent="  ")


def _print(facts: Mapping[str, object], indent: str) -> None:
    width = max((len(str(key)) for key in facts), default=0)
    for key, value in facts.items():
        if isinstance(value, Mapping):
            click.echo(f"{indent}{show_path(str(key))}")
            _print(value, indent + "  ")
        else:
            click.echo(f"{indent}{show_path(str(key)):<{width}}  {show_path(str(value))}")
