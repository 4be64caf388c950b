"""`pixelcluster export`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import click

from pixelcluster.cli import params
from pixelcluster.errors import PixelClusterError, show_path

_FILE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npz", ".gpl", ".json", ".onnx", ".pt2"}


@click.command("export", no_args_is_help=True)
@click.argument("inputs", nargs=-1, required=True, type=params.PATH, metavar="LABELMAP...|MODEL")
@click.option(
    "-o",
    "--output",
    type=params.PATH,
    required=True,
    metavar="DIR|FILE",
    help="Folder for the pictures; with --to the file.",
)
@click.option(
    "--to",
    "network",
    type=click.Choice(["onnx", "torch"]),
    help="Turn a model folder into one file: .onnx, or .pt2 of torch.export.",
)
@click.option(
    "--check",
    type=params.PATH,
    metavar="IMAGE",
    help="With --to: print how many pixels get the same label from the file.",
)
@params.palette("the map's own")
@click.option(
    "--image",
    type=params.PATH,
    metavar="FILE|DIR",
    help="Picture under the colours, or a folder of them, found by name.",
)
@params.opacity
@click.option(
    "--format",
    "to",
    type=click.Choice(["picture", "masks", "png16", "palette", "coco"]),
    default="picture",
    show_default=True,
    help="What the label maps become.",
)
@params.overwrite
@params.max_pixels
@click.pass_context
def command(
    ctx: click.Context,
    inputs: tuple[Path, ...],
    output: Path,
    network: Literal["onnx", "torch"] | None,
    check: Path | None,
    palette: str | None,
    image: Path | None,
    opacity: float,
    to: Literal["picture", "masks", "png16", "palette", "coco"],
    overwrite: bool,
    max_pixels: int,
) -> None:
    """Turn label maps into other formats, or a model into one file.

    LABELMAP is any mix of indexed or grey PNG, TIFF and NPZ files, from this program or another, and folders
    of them. Each gives <name>_colour.png in the output folder; with --format masks a 1-bit PNG a cluster,
    called by its name too where it has one, with png16 plain ids as 16-bit grey, with palette the colours for
    GIMP, with coco one COCO file for all.

    With --to, MODEL is a folder of train; its fast mode becomes one file that runs without this program:
    image (1, 3, H, W), RGB in [0, 1], of any size -> log-probabilities (1, K, H, W).

    \b
    Examples:
        pixelcluster export photo_labels.png -o pictures/
        pixelcluster export results/ -o pictures/ --palette mine.gpl
        pixelcluster export photo_labels.png -o pictures/ --image photo.jpg --opacity 0.4
        pixelcluster export results/ -o pictures/ --image photos/ --palette mean
        pixelcluster export results/ -o annotations/ --format coco
        pixelcluster export model/ --to onnx -o model.onnx --check photo.jpg
    """
    if network is not None:
        if len(inputs) > 1 or image is not None or palette is not None or to != "picture":
            raise PixelClusterError(
                f"--to {network} makes one file of one model; leave --format, --image and --palette out"
            )
        from pixelcluster.deploy.export import agreement, export_model, read_exported
        from pixelcluster.io.metrics_file import doubt_of_student
        from pixelcluster.io.read import read_image

        picture = None if check is None else read_image(check, max_pixels=max_pixels)
        model = export_model(inputs[0], network, output, overwrite=overwrite)
        click.echo(show_path(output))
        doubt = doubt_of_student(model.history)
        if doubt is not None:
            click.echo(f"warning: {doubt}", err=True)
        if picture is not None:
            share = agreement(model, read_exported(output)[0], picture)
            click.echo(f"{100 * share:.2f} % of the pixels get the same label")
        return
    if check is not None:
        raise PixelClusterError(
            "--check compares a model with its exported file; add --to onnx or --to torch"
        )
    if any(os.path.isfile(path / "model.safetensors") for path in inputs):
        raise PixelClusterError("a model folder becomes one file, not pictures; add --to onnx or --to torch")
    if output.suffix.lower() in _FILE_SUFFIXES and not os.path.isdir(output):
        raise PixelClusterError(
            f"{show_path(output)}: files made of label maps are named after them; give -o a folder"
        )
    if to == "picture":
        from pixelcluster.render.pictures import Look, export_pictures

        look = Look(palette, image, opacity, max_pixels)
        written, failures = export_pictures(inputs, output, look, overwrite=overwrite)
    else:
        from pixelcluster.render.convert import convert

        if image is not None or (palette is not None and to != "palette"):
            raise PixelClusterError(f"--format {to} has no picture; leave --image and --palette out")
        written, failures = convert(
            inputs, output, to, palette=palette, overwrite=overwrite, max_pixels=max_pixels
        )
    for path in written:
        click.echo(show_path(path))
    for message in failures:
        click.echo(f"error: {message}", err=True)
    if failures:
        ctx.exit(1)
