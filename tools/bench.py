"""Speed: medians of repeated calls that take turns, ratios and differences within one run, limits.

    python tools/bench.py                                  every section
    python tools/bench.py --section gibbs --json bench.json
    python tools/bench.py --section fast --model DIR       a trained model in place of a barely trained one
    python tools/bench.py --section memory --full          an image of 100 megapixels
    python tools/bench.py --section raster --full          a GeoTIFF of 400 megapixels
    python tools/bench.py --section video --full           flicker, and the memory of clips of two lengths

A section is one function that returns rows; add it to SECTIONS. The Markdown table goes to standard output.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.bench_images import fast_section, scaling_section
from pixelcluster.evaluation.bench_kernels import gibbs_section, langevin_section
from pixelcluster.evaluation.bench_memory import memory_section
from pixelcluster.evaluation.bench_process import segment_section
from pixelcluster.evaluation.bench_raster import raster_section
from pixelcluster.evaluation.bench_rows import Options, Row, table
from pixelcluster.evaluation.bench_video import video_section
from pixelcluster.io.write import atomic_write, check_writable

SECTIONS: dict[str, Callable[[Options], list[Row]]] = {
    "langevin": langevin_section,
    "gibbs": gibbs_section,
    "segment": segment_section,
    "fast": fast_section,
    "scaling": scaling_section,
    "memory": memory_section,
    "raster": raster_section,
    "video": video_section,
}
SAMPLE = Path(__file__).parents[1] / "assets" / "samples" / "china.jpg"

_PATH = click.Path(path_type=Path)


@click.command(context_settings={"max_content_width": 110})
@click.option("--section", "names", type=click.Choice(list(SECTIONS)), multiple=True, help="Default: all.")
@click.option("--json", "json_path", type=_PATH, help="JSON file to write.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of torch.")
@click.option(
    "--repeats", type=click.IntRange(min=1), default=15, show_default=True, help="Timed calls a row, at most."
)
@click.option("--model", type=_PATH, help="A trained model to time; a barely trained one if left out.")
@click.option("--full", is_flag=True, help="Also the memory of 100 megapixels; takes minutes.")
def main(
    names: tuple[str, ...], json_path: Path | None, threads: int, repeats: int, model: Path | None, full: bool
) -> None:
    """Time the kernels, the commands and the growth with the image; print a Markdown table with limits."""
    torch.set_num_threads(threads)
    options = Options(repeats, threads, SAMPLE, model, full)
    try:
        if json_path is not None:
            check_writable(json_path, overwrite=True)
        rows = []
        for name in names or SECTIONS:
            click.echo(f"{name} ...", err=True)
            rows += SECTIONS[name](options)
        click.echo(f"{platform.machine()}, torch {torch.__version__}, {threads} threads, {repeats} repeats\n")
        click.echo(table(rows))
        if json_path is None:
            return
        with atomic_write(json_path, overwrite=True) as temporary:
            entries = [{**asdict(row), "met": row.met} for row in rows]
            report = {"threads": threads, "repeats": repeats, "rows": entries}
            temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
