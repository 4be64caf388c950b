"""ACC, NMI and ARI of clustering whole images, beside K-means on raw pixels in the same run.

    python tools/eval_images.py --data mnist=DIR --method vade --seeds 0,1,2 --minutes 10 --json out.json

Fits on the training images without labels, infers the test images with the fitted model and scores those; the
last state of every seed counts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from pixelcluster.data.image_sets import NAMES, load_image_set
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.image_level import (
    METHOD_NAMES,
    FittedMethod,
    Start,
    choose_method,
    fit_and_score,
    known_labels,
    summarise,
)
from pixelcluster.evaluation.options import whole_numbers
from pixelcluster.evaluation.published import OURS
from pixelcluster.io.write import atomic_write, check_writable
from pixelcluster.variational.image import VariationalClustering
from pixelcluster.variational.samples import write_samples

BASELINE = "kmeans"
_SAMPLES = 10
"""Of a cluster, in a row of `--samples`."""
STARTS: dict[str, Start] = {"acc_from_random_start": "network", "acc_from_random_templates": "random"}


@click.command(context_settings={"show_default": True})
@click.option("--data", required=True, help=f"NAME=PATH, NAME one of {', '.join(NAMES)}; digits has no path.")
@click.option("--method", type=click.Choice(METHOD_NAMES), default=OURS)
@click.option("--seeds", default="0,1,2", help="Comma-separated; one fit each.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Limit of each fit.")
@click.option("--limit-train", type=click.IntRange(1), help="Fit on at most so many images, evenly spaced.")
@click.option(
    "--labels-per-class",
    type=click.IntRange(1),
    help="Semi-supervised: so many training labels a class are given to the clustered generator.",
)
@click.option(
    "--random-start",
    is_flag=True,
    help="Also fit from random weights without any graph (acc_from_random_start) and from random templates.",
)
@click.option("--config", type=click.Path(path_type=Path), help="Settings of the method, if it has any.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the result here.")
@click.option(
    "--samples",
    type=click.Path(path_type=Path),
    help="Draw what each cluster generates, a row a cluster, into this PNG (variational, last seed).",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
def main(**options: Any) -> None:
    """Fit on training images and print the accuracy on test images beside K-means on pixels."""
    try:
        run(**options)
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def run(
    data: str,
    method: str,
    seeds: str,
    minutes: float | None,
    limit_train: int | None,
    labels_per_class: int | None,
    random_start: bool,
    config: Path | None,
    json_file: Path | None,
    samples: Path | None,
    device: str,
) -> None:
    """Evaluate every seed, write what was asked for, and print the table."""
    numbers = whole_numbers(seeds)
    if labels_per_class is not None and limit_train is not None:
        raise PixelClusterError("--labels-per-class needs all training images; drop --limit-train")
    if samples is not None and method != "variational":
        raise PixelClusterError(f"{method} draws no samples; drop --samples or use --method variational")
    for file in filter(None, (json_file, samples)):  # before the minutes of fitting
        check_writable(file, overwrite=True)
    name, _, path = data.partition("=")
    image_set = load_image_set(name, Path(path) if path else None)
    n_clusters = len(image_set.class_names)
    if random_start:  # refused by what has no start
        choose_method(method, n_clusters, seed=numbers[0], start="random")

    def draw(model: FittedMethod) -> None:
        if samples is not None and isinstance(model, VariationalClustering):
            write_samples(samples, model.samples(_SAMPLES))

    reports, baselines = [], []
    for seed in numbers:
        known = None if labels_per_class is None else known_labels(image_set, labels_per_class, seed)
        shared: dict[str, Any] = {"seed": seed, "device": device, "minutes": minutes, "config": config}
        own = choose_method(method, n_clusters, **shared, labels=known)
        reports.append(fit_and_score(own, image_set, n_clusters, limit=limit_train, fitted=draw))
        for key, start in STARTS.items() if random_start else ():
            own = choose_method(method, n_clusters, **shared, start=start)
            reports[-1][key] = fit_and_score(own, image_set, n_clusters, limit=limit_train)["acc"]
        if method == BASELINE:
            baselines.append(reports[-1])
        else:
            beside = choose_method(BASELINE, n_clusters, seed=seed, device=device)
            baselines.append(fit_and_score(beside, image_set, n_clusters, limit=limit_train))
        click.echo(
            f"seed {seed}: ACC {reports[-1]['acc']:.2f}, K-means {baselines[-1]['acc']:.2f}, "
            f"{reports[-1]['seconds']:.0f} s",
            err=True,
        )
    result, baseline = summarise(reports), summarise(baselines)
    result |= {
        "kmeans_acc": baseline["acc"],
        "kmeans_acc_per_seed": baseline["acc_per_seed"],
        "n_images": len(image_set.test),
        "n_train_images": min(len(image_set.train), limit_train or len(image_set.train)),
        "classes": n_clusters,
        "data": name,
        "method": method,
        "minutes": minutes,
        "labels_per_class": labels_per_class,
        "config": reports[-1]["config"],
        "pretrained": False,
    }
    if json_file is not None:
        with atomic_write(json_file, overwrite=True) as temporary:
            temporary.write_text(json.dumps(result, indent=2), encoding="utf-8")
    click.echo("| method | ACC | NMI | ARI | s a seed |\n|---|---|---|---|---|")
    for title, row in (("K-means on pixels", baseline), (method, result)):
        seconds = sum(row["seconds_per_seed"]) / len(numbers)
        click.echo(
            f"| {title} | {row['acc']:.1f} +- {row['acc_std']:.1f} | {row['nmi']:.3f} | {row['ari']:.3f} | "
            f"{seconds:.0f} |"
        )


if __name__ == "__main__":
    main()
