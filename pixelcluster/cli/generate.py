"""`pixelcluster generate`."""

from __future__ import annotations

from pathlib import Path

import click

from pixelcluster.cli import params
from pixelcluster.errors import PixelClusterError, show_path


@click.command("generate", no_args_is_help=True)
@click.argument("model", type=params.PATH)
@click.option("-o", "--output", type=params.PATH, metavar="FILE", required=True, help="PNG to write.")
@click.option(
    "--rows",
    type=click.Choice(["z", "y"]),
    default="z",
    show_default=True,
    help="What the images of a row share.",
)
@click.option(
    "--cols",
    type=click.Choice(["y", "z", "sweep"]),
    default="y",
    show_default=True,
    help="What the images of a column share; sweep moves z along one direction.",
)
@click.option("--count", type=click.IntRange(1, 100), default=10, show_default=True, help="Different z.")
@click.option(
    "--direction", type=click.IntRange(0), default=0, show_default=True, help="Entry of z that a sweep moves."
)
@params.seed
@params.device
@params.overwrite
def command(
    model: Path,
    output: Path,
    rows: str,
    cols: str,
    count: int,
    direction: int,
    seed: int,
    device: str,
    overwrite: bool,
) -> None:
    """Draw images that an image-level model generates.

    MODEL is the model folder of `pixelcluster cluster`. Each row shares z, each column shares the cluster,
    unless told otherwise.

    \b
    Examples:
        pixelcluster generate clusters/model -o grid.png
        pixelcluster generate clusters/model -o slant.png --rows y --cols sweep --direction 2
    """
    if rows == cols or (rows == "z" and cols == "sweep"):
        raise click.UsageError(
            f"--rows {rows} --cols {cols} leaves nothing to vary: they must differ, a sweep wants --rows y"
        )
    from pixelcluster.cluster.sheets import shared_grid
    from pixelcluster.cluster.storage import load_images_model
    from pixelcluster.device import choose_device
    from pixelcluster.io.write import atomic_write, check_writable

    if output.suffix.lower() != ".png":
        raise PixelClusterError(f"{show_path(output)}: pictures are PNG; end the name with .png")
    check_writable(output, overwrite=overwrite)
    fitted = load_images_model(model, choose_device(device))
    if direction >= fitted.generator.n_latent:
        raise PixelClusterError(
            f"direction {direction}, but z has entries 0 to {fitted.generator.n_latent - 1}; choose one"
        )
    picture = shared_grid(fitted, count, rows=rows, columns=cols, seed=seed, direction=direction)
    with atomic_write(output, overwrite=overwrite) as temporary:
        picture.save(temporary, "PNG")
    click.echo(show_path(output))
