"""What each part of the model adds on COCO-Stuff: one change at a time, scored as eval_coco_stuff.py does.

    python tools/ablate.py --root DIR --config configs/coco_stuff_3.yaml --part even --json ablation.json
    python tools/ablate.py --root DIR --config FILE --variants z,langevin --curve langevin.png

The files are written anew after every fit, so that a run that is stopped keeps what it has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from pixelcluster.cli.progress import live_line
from pixelcluster.config_file import load_config
from pixelcluster.data.coco_stuff import CocoStuff
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.ablation import VariantResult, run_ablation
from pixelcluster.evaluation.ablation_report import langevin_points, markdown_table, summarise
from pixelcluster.evaluation.curves import draw_steps
from pixelcluster.evaluation.options import whole_numbers
from pixelcluster.evaluation.per_pixel import select
from pixelcluster.evaluation.variants import choose_variants
from pixelcluster.io.write import atomic_write, check_writable

_PATH = click.Path(path_type=Path)


@click.command(context_settings={"show_default": True, "max_content_width": 110})
@click.option("--root", type=_PATH, required=True, help="images/ + labels/, or the official layout.")
@click.option("--classes", type=click.Choice(["3", "15"]), default="3")
@click.option("--config", "config_file", type=_PATH, required=True, help="The full model; see configs/.")
@click.option("--part", type=click.Choice(["even", "odd", "all"]), default="all", help="Every second image.")
@click.option("--seeds", default="0,1,2", help="Comma-separated; one fit each.")
@click.option("--variants", default="", help="Names or groups, as z,langevin,prior.  [default: all]")
@click.option("--json", "json_file", type=_PATH, help="Write values by seed and changes here.")
@click.option("--markdown", type=_PATH, help="Write the table here.")
@click.option("--curve", type=_PATH, help="Draw ACC against Langevin steps into this PNG.")
def main(
    root: Path,
    classes: str,
    config_file: Path,
    part: str,
    seeds: str,
    variants: str,
    json_file: Path | None,
    markdown: Path | None,
    curve: Path | None,
) -> None:
    """Fit and score variants of a configuration; print a Markdown table of their differences to it."""
    try:
        run(root, int(classes), config_file, part, seeds, variants, json_file, markdown, curve)
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def run(
    root: Path,
    classes: int,
    config_file: Path,
    part: str,
    seeds: str,
    variants: str,
    json_file: Path | None,
    markdown: Path | None,
    curve: Path | None,
) -> None:
    """Check everything, then fit, score and write."""
    for path in filter(None, (json_file, markdown, curve)):
        check_writable(path, overwrite=True)
    config = load_config(config_file)
    chosen = choose_variants(config, [name.strip() for name in variants.split(",") if name.strip()])
    numbers = whole_numbers(seeds)
    items = select(CocoStuff(root, classes, min_coverage=0.01), part)
    setting = {"classes": classes, "part": part, "n_images": len(items), "seeds": numbers}
    setting["config"] = config.model_dump(mode="json")

    def keep(results: Sequence[VariantResult], line: str) -> None:
        click.echo(line, err=True)
        if json_file is not None:
            _write(json_file, json.dumps({**setting, "variants": summarise(results)}, indent=2) + "\n")
        if markdown is not None:
            _write(markdown, markdown_table(results))

    with live_line() as show:
        results = run_ablation(
            items, config, chosen, n_classes=classes, seeds=numbers, progress=show, report=keep
        )
    click.echo(markdown_table(results), nl=False)
    if curve is not None:
        draw_steps(langevin_points(results), curve)
    failed = [result.variant.name for result in results if result.error]
    if failed:
        raise PixelClusterError(f"variants that failed: {', '.join(failed)}; the lines above say why")


def _write(path: Path, text: str) -> None:
    with atomic_write(path, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
