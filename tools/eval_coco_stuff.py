"""Per-pixel ACC on COCO-Stuff in the protocol of IIC, beside K-means on RGB pixels in the same run.

    python tools/eval_coco_stuff.py --root DIR --classes 3 --config configs/coco_stuff_3.yaml --json out.json

Fits on the images and scores the last state of every seed; labels are the ignore mask and the score, no more.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from pixelcluster.cli.progress import live_line
from pixelcluster.config import RunConfig, load_config
from pixelcluster.data.coco_stuff import CocoStuff
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.coco_stuff import fit_and_score, kmeans_rgb, select
from pixelcluster.io.label_map import encode_label_map, label_format
from pixelcluster.io.write import atomic_write, check_writable, make_folder
from pixelcluster.render.palette import categorical
from pixelcluster.training.checkpoint import CONFIG


@click.command(context_settings={"show_default": True})
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    required=True,
    help="images/ + labels/, or the official layout.",
)
@click.option("--classes", type=click.Choice(["3", "15"]), default="3")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Settings; see configs/.")
@click.option("--stack", help="Target stack instead of the configuration's.")
@click.option("--seeds", default="0,1,2", help="Comma-separated; one fit each.")
@click.option("--model", type=click.Path(path_type=Path), help="Score this trained model instead of fitting.")
@click.option("--image-list", type=click.Path(path_type=Path), help="Stems, one a line, plain or gzip.")
@click.option(
    "--min-coverage", type=click.FloatRange(0, 1), default=0.01, help="Share of scored pixels an image needs."
)
@click.option(
    "--unlabelled-as-sky", is_flag=True, help="The original code's bug, for comparison (3 classes)."
)
@click.option(
    "--part",
    type=click.Choice(["all", "even", "odd"]),
    default="all",
    help="Every second image: even was tuned on.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the result here.")
@click.option(
    "--maps", type=click.Path(path_type=Path), help="Write the last seed's label maps into this folder."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
def main(**options: Any) -> None:
    """Fit on COCO-Stuff crops and print per-pixel accuracy beside K-means on RGB."""
    try:
        run(**options)
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def run(
    root: Path,
    classes: str,
    config_file: Path | None,
    stack: str | None,
    seeds: str,
    model: Path | None,
    image_list: Path | None,
    min_coverage: float,
    unlabelled_as_sky: bool,
    part: str,
    json_file: Path | None,
    maps: Path | None,
    device: str,
) -> None:
    """Evaluate every seed, write what was asked for, and print the table."""
    n_classes, numbers = int(classes), _numbers(seeds)
    if json_file is not None:  # before the minutes of fitting
        check_writable(json_file, overwrite=True)
    if model is not None:
        if config_file is not None or stack is not None:
            raise PixelClusterError("--model fixes the settings; drop --config and --stack")
        config_file = model / CONFIG
    config = RunConfig() if config_file is None else load_config(config_file)
    if stack is not None:
        config = config.model_copy(
            update={"targets": config.targets.model_copy(update={"stack": stack, "options": {}})}
        )
    dataset = CocoStuff(
        root, n_classes, image_list=image_list, min_coverage=min_coverage, unlabelled_as_sky=unlabelled_as_sky
    )
    items = select(dataset, part)
    reports, baselines = [], []
    for seed in numbers:
        with live_line() as show:
            report, label_maps = fit_and_score(
                items, config, n_classes=n_classes, seed=seed, device=device, model=model, progress=show
            )
        reports.append(report)
        baselines.append(kmeans_rgb(items, n_classes, seed))
        click.echo(
            f"seed {seed}: ACC {report['acc']:.2f} ({report['mode']}), "
            f"K-means RGB {baselines[-1]['acc']:.2f}, {report['seconds']:.0f} s",
            err=True,
        )
    columns = {key: [report[key] for report in reports] for key in reports[0]}
    accuracies = np.array(columns["acc"], dtype=float)
    result = {
        "acc": accuracies.mean(),
        "acc_per_seed": accuracies.tolist(),
        "acc_std": accuracies.std(),
        "miou": float(np.mean(columns["miou"])),
        "nmi": float(np.mean(columns["nmi"])),
        "kmeans_rgb_acc": float(np.mean([own["acc"] for own in baselines])),
        "seconds_per_seed": columns["seconds"],
        "n_images": len(items),
        "stack": config.targets.stack,
        "config": config.model_dump(mode="json"),
        "mode": columns["mode"][0],
        **{f"{key}_per_seed": columns[key] for key in columns if key.startswith("acc_")},
        "classes": n_classes,
        "part": part,
        "unlabelled": "sky" if unlabelled_as_sky else "ignored",
        "pretrained": "encoder" in config.targets.stack
        or (config.student.enabled and config.student.pretrained),
    }
    if json_file is not None:
        with atomic_write(json_file, overwrite=True) as temporary:
            temporary.write_text(json.dumps(result, indent=2), encoding="utf-8")
    if maps is not None:
        make_folder(maps)
        palette = categorical(1 + max(int(label_map.max()) for label_map in label_maps))
        for item, label_map in zip(items, label_maps, strict=True):
            target = maps / f"{item.stem}.png"
            with atomic_write(target, overwrite=True) as temporary:
                encode_label_map(temporary, label_map, palette, label_format(target))
    click.echo("| method | ACC | mIoU | NMI | s a seed |\n|---|---|---|---|---|")
    base = {key: float(np.mean([own[key] for own in baselines])) for key in baselines[0]}
    click.echo(f"| K-means on RGB | {base['acc']:.1f} | {base['miou']:.1f} | {base['nmi']:.3f} | - |")
    click.echo(
        f"| clustered generator, {config.targets.stack} | {result['acc']:.1f} +- {result['acc_std']:.1f} | "
        f"{result['miou']:.1f} | {result['nmi']:.3f} | {np.mean(columns['seconds']):.0f} |"
    )


def _numbers(seeds: str) -> list[int]:
    """Return comma-separated seeds."""
    try:
        return [int(seed) for seed in seeds.split(",")]
    except ValueError as error:
        raise PixelClusterError(f"seeds {seeds!r}: wanted whole numbers, as in 0,1,2") from error


if __name__ == "__main__":
    main()
