"""`pixelcluster train`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from pixelcluster.cli import params
from pixelcluster.errors import show_path


@click.command("train", no_args_is_help=True)
@click.argument("folder", type=params.PATH)
@params.clusters
@click.option("-o", "--output", type=params.PATH, required=True, metavar="DIR", help="Model folder to write.")
@click.option(
    "--config", type=params.PATH, metavar="FILE", help="YAML with every setting; options given here win."
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Stop after this long.")
@params.stack
@params.seed
@params.device
@params.overwrite
def command(
    folder: Path,
    clusters: int | Literal["auto"] | None,
    output: Path,
    config: Path | None,
    minutes: float | None,
    stack: str | None,
    seed: int,
    device: str,
    overwrite: bool,
) -> None:
    """Train a model on a folder of images, so that ids agree across images.

    FOLDER holds images of any sizes; no labels are used. The model folder gets the weights (safetensors),
    config.yaml, metrics.jsonl and samples.png, a sheet of segmented samples.

    \b
    Examples:
        pixelcluster train photos/ -k 8 -o model/
        pixelcluster train photos/ -k auto -o model/ --minutes 10 --stack encoder
        pixelcluster segment new/ --model model/ -o results/
    """
    from pixelcluster.cli.progress import live_line
    from pixelcluster.segmenting.train import Training, train_folder

    training = Training(clusters, stack, config, minutes, seed, device)
    with live_line() as show:
        train_folder(folder, output, training, overwrite=overwrite, progress=show)
    click.echo(
        f"{show_path(output)}: model written; try pixelcluster segment IMAGE --model {show_path(output)}"
    )
