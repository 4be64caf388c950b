"""`pixelcluster train`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from pixelcluster.cli import params
from pixelcluster.errors import show_path
from pixelcluster.stopping import StopSignals


@click.command("train", no_args_is_help=True)
@click.argument("folder", type=params.PATH, required=False)
@params.clusters
@click.option("-o", "--output", type=params.PATH, metavar="DIR", help="Model folder to write.")
@click.option(
    "--config", type=params.PATH, metavar="FILE", help="YAML with every setting; options given here win."
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Stop after this long.")
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(0),
    metavar="MINUTES",
    default=10.0,
    show_default=True,
    help="How much work a crash can cost.",
)
@click.option("--resume", type=params.PATH, metavar="DIR", help="Go on with the run of this model folder.")
@params.stack
@params.seed
@params.device
@params.overwrite
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path | None,
    clusters: int | Literal["auto"] | None,
    output: Path | None,
    config: Path | None,
    minutes: float | None,
    checkpoint_every: float,
    resume: Path | None,
    stack: str | None,
    seed: int,
    device: str,
    overwrite: bool,
) -> None:
    """Train a model on a folder of images, so that ids agree across images.

    FOLDER holds images of any sizes; no labels are used. The model folder gets the weights (safetensors),
    config.yaml, metrics.jsonl and samples.png, a sheet of segmented samples.

    Ctrl-C and SIGTERM finish the step and save; the exit code is 130 or 143. --resume goes on from the newest
    checkpoint as if nothing had happened, with the settings of the run; FOLDER only if the images have moved.

    \b
    Examples:
        pixelcluster train photos/ -k 8 -o model/
        pixelcluster train photos/ -k auto -o model/ --minutes 10 --stack encoder
        pixelcluster train --resume model/
        torchrun --nproc-per-node 4 -m pixelcluster train photos/ -k 8 -o model/
        pixelcluster segment new/ --model model/ -o results/
    """
    given = [
        name
        for name in ctx.params
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    fixed = sorted(set(given) - {"resume", "folder", "minutes", "checkpoint_every"})
    if resume is not None and fixed:
        raise click.UsageError(f"--resume takes --{fixed[0]} from the run itself; leave it out")
    if resume is None and (folder is None or output is None):
        raise click.UsageError("FOLDER and -o DIR are needed, or --resume DIR")
    from pixelcluster.cli.progress import live_line
    from pixelcluster.segmenting.train import Keeping, Training, resume_folder, train_folder
    from pixelcluster.training.distributed import joined, leads

    stop = ctx.find_object(StopSignals)
    keeping = Keeping(checkpoint_every, stop)
    with joined(stop), live_line(shown=leads()) as show:
        if resume is not None:
            output = resume
            resume_folder(resume, folder=folder, minutes=minutes, keeping=keeping, progress=show)
        elif folder is not None and output is not None:
            training = Training(clusters, stack, config, minutes, seed, device)
            train_folder(folder, output, training, overwrite=overwrite, keeping=keeping, progress=show)
        assert output is not None
        if leads():
            shown = show_path(output)
            click.echo(f"{shown}: model written; try pixelcluster segment IMAGE --model {shown}")
