"""`pixelcluster train`."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Literal

import click

from pixelcluster.cli import params
from pixelcluster.errors import counted, show_path
from pixelcluster.stopping import Keeping, StopSignals


@click.command("train", no_args_is_help=True)
@click.argument("folder", type=params.PATH, required=False)
@params.clusters
@click.option("-o", "--output", type=params.PATH, metavar="DIR", help="Model folder to write.")
@click.option(
    "--config", type=params.PATH, metavar="FILE", help="YAML with every setting; options given here win."
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Stop after this long.")
@params.checkpoint_every
@params.resume
@params.stack
@params.seed
@params.device
@params.overwrite
@params.max_pixels
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
    max_pixels: int,
) -> None:
    """Train a model on a folder of images, so that ids agree across images.

    FOLDER holds images of any sizes; no labels are used. The model folder gets the weights (safetensors),
    config.yaml, metrics.jsonl and samples.png, a sheet of segmented samples. A file that cannot be read is
    reported, the model is trained on the others, and the exit code is 1.

    Ctrl-C and SIGTERM finish the step under way and save; before the first step there is nothing to save yet.
    The exit code is 130 or 143. --resume goes on from the newest
    checkpoint as if nothing had happened, with the settings of the run; FOLDER only if the images have moved.
    Of a run that is finished it only says so.

    \b
    Examples:
        pixelcluster train photos/ -k 8 -o model/
        pixelcluster train photos/ -k auto -o model/ --minutes 10 --stack encoder
        pixelcluster train --resume model/
        torchrun --nproc-per-node 4 -m pixelcluster train photos/ -k 8 -o model/
        pixelcluster segment new/ --model model/ -o results/
    """
    if resume is not None:
        params.check_resumed(ctx, "folder", "minutes", "checkpoint_every")
    if resume is None and (folder is None or output is None):
        raise click.UsageError("FOLDER and -o DIR are needed, or --resume DIR")
    from pixelcluster.cli.progress import live_line, training_end
    from pixelcluster.io.metrics_file import about_student, doubt_of_student, student_agreement
    from pixelcluster.resuming.folder import FINISHED
    from pixelcluster.segmenting.train_folder import (
        SAMPLES,
        Training,
        is_finished,
        resume_folder,
        train_folder,
    )
    from pixelcluster.training.distributed import joined, leads, of_lead

    stop = ctx.find_object(StopSignals)
    keeping, started = Keeping(checkpoint_every, stop), time.monotonic()
    with joined(stop), live_line(shown=leads()) as show:
        if resume is not None:
            if of_lead(partial(is_finished, resume)):
                if leads():
                    click.echo(f"{show_path(resume)}: {FINISHED}")
                return
            output = resume
            model = resume_folder(resume, folder=folder, minutes=minutes, keeping=keeping, progress=show)
        else:
            assert folder is not None
            assert output is not None
            training = Training(clusters, stack, config, minutes, seed, device, max_pixels)
            model = train_folder(
                folder, output, training, overwrite=overwrite, keeping=keeping, progress=show
            )
        if leads():
            shown = show_path(output)
            click.echo(f"{shown}: model written")
            fitted = model.model_
            seconds = time.monotonic() - started
            click.echo(training_end(fitted.history, fitted.generator.n_clusters, seconds))
            agreement, doubt = student_agreement(fitted.history), doubt_of_student(fitted.history)
            if fitted.student is None and fitted.config.student.enabled:
                doubt = "no time was left to teach the student, so --mode fast runs the chains; train longer"
            if doubt is not None:
                click.echo(f"warning: {doubt}", err=True)
            elif agreement is not None:
                click.echo(about_student(agreement))
            sheet = show_path(output / SAMPLES)
            click.echo(f"look at {sheet}, then try: pixelcluster segment IMAGE --model {shown}")
            for _, message in model.failures_:
                click.echo(f"error: {message}", err=True)
            if model.failures_:
                click.echo(f"{counted(len(model.failures_), 'file')} left out", err=True)
    if model.failures_:
        ctx.exit(1)
