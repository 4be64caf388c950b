"""`pixelcluster segment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from pixelcluster.cli import params
from pixelcluster.errors import PixelClusterError

if TYPE_CHECKING:
    from pixelcluster.arguments import Mode
    from pixelcluster.io.label_map import LabelFormat


_SECTIONS = {
    "Overlays": ("overlay", "legend", "opacity", "palette"),
    "Rasters": ("bands", "window", "polygons", "min_area", "simplify"),
    "Many inputs": ("report", "shard", "skip_existing", "engine", "workers"),
}

_NOTES = """\b
Cluster ids of an indexed PNG:
    Pillow        numpy.asarray(Image.open("photo_labels.png"))
    scikit-image  imread("photo_labels.png") @ (1, 6, 36) % 256
    OpenCV        cv2.imread("photo_labels.png") @ (36, 6, 1) % 256
With --format tif, and above 256 clusters, every reader gives them plainly.

\b
Arrays of an NPZ label map (numpy.load):
    label_map      (H, W) int32 ids
    palette        (K, 3) uint8
    names          (K,), where clusters have names
    probabilities  (K, H, W) float32, with --probabilities or --entropy
    entropy        (H, W) float32 in nats, likewise
Beside a PNG or TIFF, --probabilities writes the array `probabilities` into a file of its own.

A TIFF that is georeferenced, exceeds --max-pixels, states nodata or has more than 4 bands is a raster: its
label map is a tiled GeoTIFF with its CRS, a colour table and nodata id 255 (65535 above 255 clusters). With
1 or 3 bands (choose with --bands) and up to --max-pixels it is segmented like a picture; else, and with a
model, window by window in bounded memory.

A video (MP4, MOV, MKV, WebM, AVI) is read frame by frame and keeps its ids from frame to frame: its label
map is a lossless grey video (.mkv), its overlay an MP4.

A file that cannot be read is reported, the others are segmented, and the exit code is 1.
"""


@click.command("segment", cls=params.GroupedCommand, sections=_SECTIONS, epilog=_NOTES, no_args_is_help=True)
@click.argument("inputs", nargs=-1, required=True, type=params.PATH, metavar="INPUT...")
@params.clusters
@click.option(
    "--model", type=params.PATH, metavar="DIR", help="A trained model: ids then mean the same on every image."
)
@click.option(
    "-o",
    "--output",
    type=params.PATH,
    metavar="DIR|FILE",
    help="Where outputs go; next to each input if left out.",
)
@click.option(
    "--format",
    "label_format",
    type=click.Choice(["png", "tif", "npz"]),
    help="Of the label map.  [default: png]",
)
@click.option("--overlay/--no-overlay", default=True, show_default=True, help="Write the coloured picture.")
@click.option(
    "--legend/--no-legend",
    default=True,
    show_default=True,
    help="Beneath it; without, the overlay has the size of the picture.",
)
@params.opacity
@params.palette("categorical")
@click.option(
    "--probabilities",
    is_flag=True,
    help="Write the probability of each cluster at each pixel (NPZ), given this fit: sure of itself where "
    "the fit is, it does not say which clusters another fit would find.",
)
@click.option(
    "--entropy",
    is_flag=True,
    help="Write how uncertain each pixel is, given this fit, as --probabilities (16-bit PNG; 65535 is ln K).",
)
@click.option(
    "--mode",
    type=click.Choice(["fast", "exact"]),
    help="exact runs the chains; without a model it fits the whole model to the one picture: slower, and "
    "often not better.  [default: what the model says; without one fast, with --stack "
    "exact]",
)
@click.option(
    "--scribbles",
    type=params.PATH,
    metavar="FILE",
    help="Known labels of the image or raster, which the rest follows: PNG (0 unknown), GeoJSON; for an "
    "image Labelme, for a raster GeoTIFF.",
)
@params.stack
@params.seed
@params.device
@params.overwrite
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
@params.max_pixels
@click.option(
    "--bands",
    type=params.NumberList(1),
    metavar="N,N,...",
    help="Bands to use.  [default: all, RGB for a model]",
)
@click.option(
    "--window",
    type=click.IntRange(16),
    metavar="PIXELS",
    help="Side of the windows a model sees, shrunk to its working size.  [default: that size]",
)
@click.option("--polygons", type=params.PATH, metavar="FILE", help="Also write polygons, .geojson or .gpkg.")
@click.option(
    "--min-area",
    type=click.FloatRange(0),
    default=0.0,
    metavar="M2",
    help="Leave smaller polygons out: square metres, pixels where the raster has no CRS.",
)
@click.option(
    "--simplify",
    type=click.FloatRange(0),
    default=0.0,
    metavar="PIXELS",
    help="Straighten outlines of polygons by at most this much.",
)
@click.option(
    "--report", type=params.PATH, metavar="FILE", help="Also write one web page (.html) of the whole run."
)
@click.option(
    "--shard",
    type=params.Shard(),
    metavar="I/N",
    help="Job arrays: segment only every N-th input, from the I-th (1 to N).",
)
@click.option("--skip-existing", is_flag=True, help="Go past inputs whose outputs all exist.")
@click.option(
    "--engine",
    type=click.Choice(["plain", "ray"]),
    default="plain",
    show_default=True,
    help="ray: several processes, on this machine or a cluster (extra ray); wants -o DIR.",
)
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes of ray.  [default: all CPUs but one]"
)
@click.pass_context
def command(
    ctx: click.Context,
    inputs: tuple[Path, ...],
    clusters: int | Literal["auto"] | None,
    model: Path | None,
    output: Path | None,
    label_format: LabelFormat | None,
    overlay: bool,
    legend: bool,
    opacity: float,
    palette: str | None,
    probabilities: bool,
    entropy: bool,
    mode: Mode | None,
    scribbles: Path | None,
    stack: str | None,
    seed: int,
    device: str,
    overwrite: bool,
    as_json: bool,
    max_pixels: int,
    bands: tuple[int, ...] | None,
    window: int | None,
    polygons: Path | None,
    min_area: float,
    simplify: float,
    report: Path | None,
    shard: tuple[int, int] | None,
    skip_existing: bool,
    engine: Literal["plain", "ray"],
    workers: int | None,
) -> None:
    """Segment images: label map, coloured overlay and table.

    INPUT is any mix of image files, folders (searched recursively) and manifests: .txt with a path a line, or
    .csv or .jsonl with a column `path`. Without --model each image is
    segmented on its own; with it, cluster 3 is the same thing on every image.

    \b
    Examples:
        pixelcluster segment photo.jpg
            writes photo_labels.png and photo_overlay.png next to it
        pixelcluster segment photo.jpg -k 5 -o out/
        pixelcluster segment scans/ --model model/ -o results/
        pixelcluster segment scene.tif -k 6 --polygons fields.geojson
        pixelcluster segment clip.mp4 -k 6 -o out/
    """
    from pixelcluster.io.polygon_files import check_polygon_path
    from pixelcluster.io.polygons import PolygonOptions
    from pixelcluster.render.palette_file import check_palette
    from pixelcluster.segmenting.method import Method
    from pixelcluster.segmenting.runs.jobs import Outputs, choose_format
    from pixelcluster.segmenting.runs.manifest import is_manifest

    if palette is not None:
        check_palette(palette)
    if polygons is not None:
        check_polygon_path(polygons)
    outputs = Outputs(
        label_format=choose_format(output, label_format),
        overlay=overlay,
        legend=legend,
        opacity=opacity,
        palette=palette,
        probabilities=probabilities,
        entropy=entropy,
        overwrite=overwrite,
        polygons=polygons,
        polygon_options=PolygonOptions(min_area, simplify),
    )
    method = Method(
        n_clusters=None if clusters == "auto" else clusters,
        model=model,
        stack=stack,
        mode=mode,
        seed=seed,
        device=device,
        probabilities=probabilities or entropy,
        max_pixels=max_pixels,
        bands=bands,
        scribbles=scribbles,
        window=window,
    )
    method.check()
    if model is not None and scribbles is None:
        _warn_of_student(model, mode)
    if stack is not None and mode is None and scribbles is None:
        click.echo(
            "note: --stack without --model fits the whole model to each picture, as --mode exact", err=True
        )
    if workers is not None and engine == "plain":
        raise PixelClusterError("--workers are those of --engine ray; add it, or leave --workers out")
    if engine == "ray" or any(is_manifest(path) for path in inputs):
        single = {"--scribbles": scribbles, "--polygons": polygons, "--report": report}
        wrong = [name for name, value in single.items() if value is not None]
        if output is None or wrong:
            reason = f"take no {wrong[0]}" if wrong else "want -o DIR, which also gets their journal"
            raise PixelClusterError(f"manifests and --engine ray {reason}")
        from pixelcluster.cli.streaming import stream_command
        from pixelcluster.segmenting.runs.stream import Source

        passed = stream_command(
            Source(inputs, output, outputs, shard, max_pixels),
            method,
            use_ray=engine == "ray",
            workers=workers,
            skip_existing=skip_existing,
            as_json=as_json,
        )
    else:
        from pixelcluster.cli.one_pass import one_pass_command

        passed = one_pass_command(
            inputs,
            output,
            outputs,
            method,
            shard=shard,
            skip_existing=skip_existing,
            report=report,
            as_json=as_json,
        )
    if not passed:
        ctx.exit(1)


def _warn_of_student(model: Path, mode: Mode | None) -> None:
    """Warn where the student is asked alone, and training found it far from the chains."""
    from pixelcluster.io.metrics_file import doubt_of_student, read_metrics
    from pixelcluster.segmenting.relabel import read_settings

    if (mode or read_settings(model).mode) == "fast":
        doubt = doubt_of_student(read_metrics(model))
        if doubt is not None:
            click.echo(f"warning: {doubt}", err=True)
