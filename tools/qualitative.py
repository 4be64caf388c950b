"""Images, what methods found, and the truth side by side: the paper's figure 4.

python tools/qualitative.py --data facades-4=facades/ --methods cvae,configs/FILE.yaml -o out.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.qualitative import qualitative_figure, spread_over
from pixelcluster.evaluation.scoreboard_run import check_methods, fit_per_pixel, is_image_level, open_labelled
from pixelcluster.io.write import atomic_write, check_writable


@click.command(context_settings={"show_default": True})
@click.option("--data", required=True, help="NAME=DIR; a NAME that is no known set is a labelled folder.")
@click.option("--methods", required=True, help="Comma-separated names or YAML files, as for the scoreboard.")
@click.option("--count", type=click.IntRange(1, 50), default=6, help="Images shown, evenly spaced.")
@click.option("--budget-minutes", type=click.FloatRange(0, min_open=True), default=10.0, help="Of each fit.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of each fit.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="PNG to write.")
@click.option("--overwrite", is_flag=True, help="Replace an existing picture.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
def main(
    data: str,
    methods: str,
    count: int,
    budget_minutes: float,
    seed: int,
    output: Path,
    overwrite: bool,
    device: str,
) -> None:
    """Fit methods on a data set and draw what they found beside the truth."""
    try:
        check_writable(output, overwrite=overwrite)
        name, _, path = data.partition("=")
        if is_image_level(name):
            raise PixelClusterError(f"{name} has no label maps; wanted a per-pixel set or a labelled folder")
        names = methods.split(",")
        check_methods(names, [name])
        dataset = open_labelled(name, Path(path))
        items, n_classes = [dataset[index] for index in range(len(dataset))], len(dataset.class_names)
        found = {}
        for method in names:
            report, maps = fit_per_pixel(
                method, items, n_classes=n_classes, seed=seed, minutes=budget_minutes, device=device
            )
            found[f"{Path(method).stem} {report['acc']:.1f}"] = maps
        picture = qualitative_figure(items, found, n_classes, spread_over(items, count))
        with atomic_write(output, overwrite=overwrite) as temporary:
            picture.save(temporary, "PNG")
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
