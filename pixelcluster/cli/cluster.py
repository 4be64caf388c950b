"""`pixelcluster cluster`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from pixelcluster.cli import params
from pixelcluster.errors import counted, show_path
from pixelcluster.stopping import Keeping, StopSignals


@click.command("cluster", no_args_is_help=True)
@click.argument("source", metavar="INPUT", required=False)
@params.clusters
@click.option(
    "--config",
    type=params.PATH,
    metavar="FILE",
    help="YAML with settings of the fit (start, chains, side, ...); options given here win.",
)
@click.option("-o", "--output", type=params.PATH, metavar="DIR", help="Folder for the results.")
@click.option("--root", type=params.PATH, metavar="PATH", help="Where the data set named INPUT is.")
@click.option("--predict", "model", type=params.PATH, metavar="MODEL", help="Infer with this model; no fit.")
@click.option(
    "--labels",
    type=params.PATH,
    metavar="FILE",
    help="CSV of id,label: images whose cluster is known; the rest follows.",
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Stop learning after this long.")
@params.checkpoint_every
@params.resume
@params.seed
@params.device
@params.overwrite
@params.max_pixels
@click.pass_context
def command(
    ctx: click.Context,
    source: str | None,
    clusters: int | Literal["auto"] | None,
    config: Path | None,
    output: Path | None,
    root: Path | None,
    model: Path | None,
    labels: Path | None,
    minutes: float | None,
    checkpoint_every: float,
    resume: Path | None,
    seed: int,
    device: str,
    overwrite: bool,
    max_pixels: int,
) -> None:
    """Cluster whole images: one cluster an image.

    INPUT is a folder of images, an npz file with an array (N, H, W) or (N, H, W, C), or the name of a data
    set with its --root: mnist, svhn, stl10; digits needs none.

    Writes assignments.csv and assignments.npz (id, cluster, probability, entropy, margin; the npz also the
    latent embedding), sheets/ (a contact sheet of each cluster, the least certain images last), generated.png
    and, after a fit, model/.

    Probabilities and entropies are those given this fit. They say nothing of whether these are the right
    clusters, and are too sure: most probabilities round to 1, those of wrong images too. Look for doubtful
    images by margin, the difference of log p between the best cluster and the second best.

    --config takes every setting of the fit: the fields of pixelcluster.cluster.settings.ImageSettings, for
    example "chains: shared".

    Ctrl-C and SIGTERM finish the step under way and save; before the first step there is nothing to save yet.
    The exit code is 130 or 143. --resume goes on from the newest
    checkpoint as if nothing had happened, with the input and the settings of the run. Of a run that is
    finished it only says so.

    \b
    Examples:
        pixelcluster cluster photos/ -k 8 -o clusters/
        pixelcluster cluster mnist --root mnist.npz -k 10 -o digits/
        pixelcluster cluster new/ --predict clusters/model -o new_clusters/
        pixelcluster cluster photos/ -k 8 --labels few.csv -o clusters/
        pixelcluster cluster photos/ -k 8 --config mine.yaml -o clusters/
        pixelcluster cluster --resume clusters/
    """
    if model is not None:
        from pixelcluster.io.model_files import IMAGES, refuse_other_kind

        refuse_other_kind(model, IMAGES)
    if model is not None and any(given is not None for given in (labels, clusters, config)):
        raise click.UsageError("--predict takes clusters from the model; leave out -k, --labels and --config")
    if resume is not None:
        params.check_resumed(ctx, "minutes", "checkpoint_every")
    elif source is None or output is None:
        raise click.UsageError("INPUT and -o DIR are needed, or --resume DIR")
    from pixelcluster.cli.progress import live_line
    from pixelcluster.cluster.cluster_images import cluster_images, is_finished, resume_images
    from pixelcluster.cluster.source import of_a_set
    from pixelcluster.resuming.folder import FINISHED

    if resume is not None and is_finished(resume):
        click.echo(f"{show_path(resume)}: {FINISHED}")
        return
    keeping = Keeping(checkpoint_every, ctx.find_object(StopSignals))
    with live_line() as show:
        if resume is not None:
            output = resume
            found = resume_images(resume, minutes=minutes, keeping=keeping, progress=show)
        else:
            assert source is not None
            assert output is not None
            found = cluster_images(
                source,
                output,
                root=root,
                n_clusters=clusters,
                config=config,
                model=model,
                labels=labels,
                minutes=minutes,
                seed=seed,
                device=device,
                overwrite=overwrite,
                max_pixels=max_pixels,
                keeping=keeping,
                progress=show,
            )
    from pixelcluster.cli.tables import print_image_clusters

    print_image_clusters(found.clusters, found.margins)
    part = " (the training part)" if source is not None and of_a_set(source, root) else ""
    click.echo(f"{counted(len(found.ids), 'image')}{part} -> {show_path(output)}")
    for _, message in found.failures:
        click.echo(f"error: {message}", err=True)
    if found.failures:
        click.echo(f"{counted(len(found.failures), 'file')} left out", err=True)
        ctx.exit(1)
