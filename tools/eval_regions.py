"""Per-image mode on BSDS500: PRI, VoI, covering, mIoU and seconds an image, beside rivals in the same run.

    python tools/eval_regions.py --root bsds500 --json regions.json --limit 40

The Markdown table goes to standard output, progress to standard error, all figures to the JSON file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pixelcluster.data.bsds import Bsds
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.regions import METHODS, choose_method, evaluate, summarise
from pixelcluster.io.write import atomic_write, check_writable

PATH = click.Path(path_type=Path)
DEFAULT = ",".join(name for name in METHODS if name != "kanezaki")  # a network an image: 12 s each
SCORES = ("pri", "voi", "covering", "miou")


@click.command(context_settings={"max_content_width": 110})
@click.option("--root", type=PATH, required=True, help="Folder with images/ and labels/.")
@click.option("--json", "json_path", type=PATH, required=True, help="JSON file to write, replaced if there.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first images.")
@click.option("--methods", default=DEFAULT, show_default=True, help="Comma-separated names; also kanezaki.")
@click.option("--image-list", type=PATH, help="Text file (plain or .gz) of stems, one a line.")
def main(root: Path, json_path: Path, limit: int | None, methods: str, image_list: Path | None) -> None:
    """Segment a BSDS500 folder image by image; PRI, VoI, covering and mIoU beside rivals in one run."""
    try:
        check_writable(json_path, overwrite=True)
        report = run(root, limit, _names(methods), image_list)
        with atomic_write(json_path, overwrite=True) as temporary:
            temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    click.echo(table(report))


def run(root: Path, limit: int | None, names: list[str], image_list: Path | None) -> dict[str, Any]:
    """Return the report that is written as JSON."""
    dataset = Bsds(root, image_list, limit)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("images x methods", total=len(dataset) * len(names))
        results = evaluate(
            dataset, {name: choose_method(name) for name in names}, lambda: progress.advance(task)
        )
    return {
        "root": str(root),
        "n_images": len(dataset),
        "regions": "4-connected components of the label map; raw_labels: the labels themselves",
        "voi_unit": "bits",
        "methods": {name: summarise(rows) for name, rows in results.items()},
    }


def table(report: dict[str, Any]) -> str:
    """Return the report as a Markdown table; figures of raw labels in parentheses."""
    lines = [
        f"{report['n_images']} images; regions are 4-connected components, in parentheses the raw labels.",
        "",
        "| method | PRI | VoI (bits) | covering | mIoU | regions | s an image |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, figures in report["methods"].items():
        scores = [f"{figures[key]:.3f} ({figures['raw_labels'][key]:.3f})" for key in SCORES]
        cells = [name, *scores, f"{figures['n_regions']:.0f}", f"{figures['seconds']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _names(text: str) -> list[str]:
    """Return the methods asked for, in that order."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        raise PixelClusterError(f"methods {text!r}: not among {', '.join(METHODS)}")
    return names


if __name__ == "__main__":
    main()
