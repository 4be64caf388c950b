"""Methods x data sets in the same budget of CPU time: table, JSON and chart; goes on where it was stopped.

python tools/scoreboard.py --data coco-stuff-3=coco/ --methods kmeans,iic,configs/coco_stuff_3_scratch.yaml
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.options import whole_numbers
from pixelcluster.evaluation.scoreboard import run_all
from pixelcluster.evaluation.scoreboard_chart import draw_chart
from pixelcluster.evaluation.scoreboard_run import is_image_level
from pixelcluster.evaluation.scoreboard_table import markdown, read_entries
from pixelcluster.io.write import atomic_write


@click.command(context_settings={"show_default": True})
@click.option(
    "--data",
    "sources",
    multiple=True,
    required=True,
    help="NAME=DIR, once a data set; a NAME that is no known set is a folder of images/ and labels/.",
)
@click.option(
    "--methods",
    required=True,
    help="Comma-separated names, or YAML files: the clustered generator with these settings.",
)
@click.option(
    "--budget-minutes",
    type=click.FloatRange(0, min_open=True),
    default=10.0,
    help="CPU minutes of each fit, all threads together.",
)
@click.option("--seeds", default="0,1,2", help="Comma-separated; one fit each.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for runs and results.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
def main(
    sources: tuple[str, ...], methods: str, budget_minutes: float, seeds: str, out: Path, device: str
) -> None:
    """Run methods on data sets and write scoreboard.json, scoreboard.md and scoreboard.png.

    They hold the runs this call names. Runs that are in the folder already are not repeated, so a board that
    grows is called with all its methods and seeds.
    """
    try:
        data = dict(_source(text) for text in sources)
        board = run_all(
            data, methods.split(","), whole_numbers(seeds), out, minutes=budget_minutes, device=device,
            tell=lambda line: click.echo(line, err=True),
        )  # fmt: skip
        entries = read_entries(board.files)
        if not entries:
            raise PixelClusterError("no run succeeded; the lines above say why")
        with atomic_write(out / "scoreboard.json", overwrite=True) as temporary:
            temporary.write_text(json.dumps([asdict(entry) for entry in entries], indent=2), encoding="utf-8")
        with atomic_write(out / "scoreboard.md", overwrite=True) as temporary:
            temporary.write_text(markdown(entries), encoding="utf-8")
        with atomic_write(out / "scoreboard.png", overwrite=True) as temporary:
            draw_chart(entries, temporary)
        click.echo(markdown(entries))
        if board.failures:
            raise PixelClusterError(f"{len(board.failures)} runs failed; the lines above say why")
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def _source(text: str) -> tuple[str, Path]:
    """Return name and path of a data set."""
    name, _, path = text.partition("=")
    if not name or (not path and not is_image_level(name)):
        raise PixelClusterError(f"data {text!r}: wanted NAME=DIR, as in coco-stuff-3=coco/")
    return name, Path(path)


if __name__ == "__main__":
    main()
