"""The paper's figures on whole images: ACC by Langevin steps (3), fewer and more clusters than classes (5).

python tools/figures.py --data mnist=mnist.npz --out out/figures
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from pixelcluster.cluster.settings import ImageSettings
from pixelcluster.data.image_sets import NAMES, load_image_set
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.curves import draw_steps
from pixelcluster.evaluation.image_figures import accuracy_by_steps, merges_and_splits
from pixelcluster.evaluation.options import whole_numbers
from pixelcluster.io.write import atomic_write, make_folder


@click.command(context_settings={"show_default": True})
@click.option("--data", required=True, help=f"NAME=PATH, NAME one of {', '.join(NAMES)}; digits has no path.")
@click.option("--figure", "figures", type=click.Choice(["3", "5"]), multiple=True, help="Default: both.")
@click.option("--steps", default="0,5,20,100", help="Langevin steps of figure 3.")
@click.option("--clusters", default="6,12", help="Numbers of clusters of figure 5.")
@click.option("--seeds", default="0,1,2", help="Of figure 3; figure 5 takes the first.")
@click.option("--iterations", type=click.IntRange(1), help="Instead of the default settings'.")
@click.option("--limit-train", type=click.IntRange(1), help="Fit on at most so many images, evenly spaced.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for pictures and JSON.")
def main(
    data: str,
    figures: tuple[str, ...],
    steps: str,
    clusters: str,
    seeds: str,
    iterations: int | None,
    limit_train: int | None,
    out: Path,
) -> None:
    """Fit what the figures need, draw them, and write figures.json."""
    try:
        name, _, path = data.partition("=")
        images = load_image_set(name, Path(path) if path else None)
        settings = ImageSettings() if iterations is None else ImageSettings(iterations=iterations)
        make_folder(out)
        report: dict[str, object] = {"data": name, "settings": settings.model_dump(mode="json")}

        def tell(line: str) -> None:
            click.echo(line, err=True)

        if "3" in figures or not figures:
            points = accuracy_by_steps(
                images, whole_numbers(steps), whole_numbers(seeds), settings, limit=limit_train, tell=tell
            )
            draw_steps([(point["steps"], point["acc"]) for point in points], out / "langevin_steps.png")
            report["figure_3"] = points
        if "5" in figures or not figures:
            report["figure_5"] = merges_and_splits(
                images,
                whole_numbers(clusters),
                settings,
                out,
                seed=whole_numbers(seeds)[0],
                limit=limit_train,
                tell=tell,
            )
        with atomic_write(out / "figures.json", overwrite=True) as temporary:
            temporary.write_text(json.dumps(report, indent=2), encoding="utf-8")
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
