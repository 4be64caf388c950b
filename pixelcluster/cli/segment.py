"""`pixelcluster segment`."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from pixelcluster.cli import params
from pixelcluster.cli.streaming import print_outcome, throughput
from pixelcluster.errors import PixelClusterError, show_path

if TYPE_CHECKING:
    from pixelcluster.io.label_map import LabelFormat
    from pixelcluster.segmenting.runs.jobs import Outcome


_SECTIONS = {
    "Overlays": ("overlay", "legend", "opacity", "palette"),
    "Rasters": ("bands", "window", "polygons", "min_area", "simplify"),
    "Many inputs": ("report", "shard", "skip_existing", "engine", "workers"),
}


@click.command("segment", cls=params.GroupedCommand, sections=_SECTIONS, no_args_is_help=True)
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
    "--probabilities", is_flag=True, help="Write the probability of each cluster at each pixel (NPZ)."
)
@click.option(
    "--entropy", is_flag=True, help="Write how uncertain each pixel is (16-bit PNG; 65535 is ln K)."
)
@click.option(
    "--mode",
    type=click.Choice(["fast", "exact"]),
    help="exact runs the chains; without a model it fits the whole model to the one picture: slower, and "
    "often not better.  [default: what the model says, fast without one]",
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
    mode: Literal["fast", "exact"] | None,
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
        pixelcluster segment photo.jpg -k 5 -o out/ --format tif
        pixelcluster segment photo.jpg -o map.png --no-overlay
        pixelcluster segment scans/ --model model/ -o results/ --probabilities
        pixelcluster segment photo.jpg --json | jq '.[0].shares'
        pixelcluster segment photo.jpg --scribbles strokes.png -o corrected/
        pixelcluster segment scans/ -o results/ --report results/report.html
        pixelcluster segment scans/ -o results/ --shard 3/8 --skip-existing
        pixelcluster segment list.txt --model model/ -o results/ --engine ray --workers 8
        pixelcluster segment scene.tif -k 6 --polygons fields.geojson --min-area 5000
        pixelcluster segment scene.tif -k 6 --scribbles strokes.geojson
        pixelcluster segment clip.mp4 -k 6 -o out/

    \b
    Cluster ids of an indexed PNG:
        Pillow        numpy.asarray(Image.open("photo_labels.png"))
        scikit-image  imread("photo_labels.png") @ (1, 6, 36) % 256
        OpenCV        cv2.imread("photo_labels.png") @ (36, 6, 1) % 256
    With --format tif, and above 256 clusters, every reader gives them plainly.

    A TIFF that is georeferenced, states nodata, has more than 4 bands or exceeds --max-pixels is a raster:
    its label map is a tiled GeoTIFF with its CRS, a colour table and nodata id 255 (65535 above 255
    clusters). With 1 or 3 bands (choose with --bands) and up to --max-pixels it is segmented like a picture;
    else, and with a model, window by window in bounded memory.

    A video (MP4, MOV, MKV, WebM, AVI) is read frame by frame and keeps its ids from frame to frame: its label
    map is a lossless grey video (.mkv), its overlay an MP4.

    A file that cannot be read is reported, the others are segmented, and the exit code is 1.
    """
    from pixelcluster.io.naming import real_paths
    from pixelcluster.io.polygon_files import check_polygon_path
    from pixelcluster.io.polygons import PolygonOptions
    from pixelcluster.render.palette_file import check_palette
    from pixelcluster.segmenting.method import Method, Segmenter
    from pixelcluster.segmenting.runs.batch import run_jobs
    from pixelcluster.segmenting.runs.jobs import Outputs, choose_format, plan_jobs
    from pixelcluster.segmenting.runs.manifest import is_manifest
    from pixelcluster.segmenting.runs.selection import split_finished, take_shard

    if palette is not None:
        check_palette(palette)
    if polygons is not None:
        check_polygon_path(polygons)
    outputs = Outputs(
        choose_format(output, label_format), overlay, probabilities, entropy, overwrite,
        polygons, PolygonOptions(min_area, simplify), legend, opacity, palette,
    )  # fmt: skip
    method = Method(
        None if clusters == "auto" else clusters, model, stack, mode, seed, device, probabilities or entropy,
        max_pixels, bands, scribbles, window,
    )  # fmt: skip
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

        source = Source(inputs, output, outputs, shard, max_pixels)
        if not stream_command(
            source, method, use_ray=engine == "ray", workers=workers,
            skip_existing=skip_existing, as_json=as_json,
        ):  # fmt: skip
            ctx.exit(1)
        return
    planned, outcomes = plan_jobs(inputs, output, outputs, max_pixels=max_pixels)
    if scribbles is not None and len(planned) != 1:
        raise PixelClusterError(f"--scribbles belong to one image, got {len(planned)} inputs; name one")
    if bands is not None and len(planned) > 1 and not any(job.raster or job.video for job in planned):
        raise PixelClusterError("--bands is for rasters, and all inputs are read as pictures; leave it out")
    sources = real_paths(job.source for job in planned)
    jobs = planned if shard is None else take_shard(planned, *shard)
    if skip_existing:
        jobs, finished = split_finished(jobs)
        outcomes.extend(finished)
        if not as_json:
            click.echo(f"{len(finished)} of {len(finished) + len(jobs)} inputs skipped: their outputs exist")
    album = None
    if report is not None:
        from pixelcluster.render.report import Album, check_report, write_report

        check_report(report, sources, overwrite=overwrite)
        album = Album()
    if jobs:
        started = time.perf_counter()
        segmenter = Segmenter(method)
        with ExitStack() as bars:
            if len(jobs) == 1 and (jobs[0].raster or jobs[0].video):
                from pixelcluster.cli.progress import share_bar

                show = bars.enter_context(share_bar("segmenting"))
                runs = run_jobs(jobs, sources, segmenter, outputs, album=album, progress=show)
            else:
                runs = run_jobs(jobs, sources, segmenter, outputs, album=album)
            if len(jobs) > 1 and sys.stderr.isatty():
                from pixelcluster.cli.progress import track

                runs = track(runs, len(jobs), "segmenting")
            for outcome in runs:
                outcomes.append(outcome)
                if not as_json and len(jobs) > 1:
                    _print(outcome, with_table=False)
        if not as_json and len(jobs) == 1:  # not before the bar is gone
            _print(outcomes[-1], with_table=True)
        elif not as_json:
            done = sum(outcome.error is None and not outcome.skipped for outcome in outcomes)
            if done:
                click.echo(throughput(done, time.perf_counter() - started))
    if as_json:
        click.echo(json.dumps([outcome.as_json() for outcome in outcomes], indent=2))
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    for outcome in outcomes:
        for message in outcome.warnings:
            click.echo(f"warning: {show_path(outcome.source)}: {message}", err=True)
    for outcome in failed:
        click.echo(f"error: {outcome.error}", err=True)
    if len(outcomes) > 1 and failed:
        click.echo(f"{len(failed)} of {len(outcomes)} inputs failed", err=True)
    if report is not None and album is not None:
        settings = method.described()
        if shard is not None:
            settings["shard"] = "{}/{}".format(*shard)
        write_report(report, outcomes, album.pages, settings, overwrite=overwrite)
        if not as_json:
            click.echo(f"report -> {show_path(report)}")
    if failed:
        ctx.exit(1)


def _print(outcome: Outcome, *, with_table: bool) -> None:
    if outcome.error is not None:
        return
    if with_table:
        from pixelcluster.cli.tables import print_clusters

        print_clusters(outcome.in_use)
    print_outcome(outcome)
