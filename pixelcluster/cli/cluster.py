"""`pixelcluster cluster`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from pixelcluster.cli import params
from pixelcluster.errors import show_path


@click.command("cluster", no_args_is_help=True)
@click.argument("source", metavar="INPUT")
@params.clusters
@click.option(
    "-o", "--output", type=params.PATH, metavar="DIR", required=True, help="Folder for the results."
)
@click.option("--root", type=params.PATH, metavar="PATH", help="Where the data set named INPUT is.")
@click.option("--predict", "model", type=params.PATH, metavar="MODEL", help="Infer with this model; no fit.")
@click.option(
    "--labels",
    type=params.PATH,
    metavar="FILE",
    help="CSV of id,label: images whose cluster is known; the rest follows.",
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Stop learning after this long.")
@params.seed
@params.device
@params.overwrite
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    clusters: int | Literal["auto"] | None,
    output: Path,
    root: Path | None,
    model: Path | None,
    labels: Path | None,
    minutes: float | None,
    seed: int,
    device: str,
    overwrite: bool,
) -> None:
    """Cluster whole images: one cluster an image.

    INPUT is a folder of images, an npz file with an array (N, H, W) or (N, H, W, C), or the name of a data
    set with its --root: mnist, svhn, stl10; digits needs none.

    Writes assignments.csv and assignments.npz (id, cluster, probability, entropy; the npz also the latent
    embedding), sheets/ (a contact sheet a cluster: most typical first, least certain last), generated.png
    and, after a fit, model/.

    \b
    Examples:
        pixelcluster cluster photos/ -k 8 -o clusters/
        pixelcluster cluster mnist --root mnist.npz -k 10 -o digits/
        pixelcluster cluster new/ --predict clusters/model -o new_clusters/
        pixelcluster cluster photos/ -k 8 --labels few.csv -o clusters/
    """
    if model is not None and (labels is not None or clusters is not None):
        raise click.UsageError("--predict takes clusters from the model; leave out -k and --labels")
    from pixelcluster.cli.progress import live_line
    from pixelcluster.cluster.run import cluster_images

    with live_line() as show:
        found = cluster_images(
            source,
            output,
            root=root,
            n_clusters="auto" if clusters is None else clusters,
            model=model,
            labels=labels,
            minutes=minutes,
            seed=seed,
            device=device,
            overwrite=overwrite,
            progress=show,
        )
    from pixelcluster.cli.tables import print_image_clusters

    print_image_clusters(found.clusters, found.probabilities, found.entropy)
    click.echo(f"{len(found.ids)} images -> {show_path(output)}")
    for _, message in found.failures:
        click.echo(f"error: {message}", err=True)
    if found.failures:
        click.echo(f"{len(found.failures)} files were left out", err=True)
        ctx.exit(1)
