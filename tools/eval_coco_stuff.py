"""Per-pixel ACC on COCO-Stuff in the protocol of IIC, beside K-means on RGB pixels in the same run.

    python tools/eval_coco_stuff.py --root DIR --classes 3 --config configs/coco_stuff_3.yaml --json out.json

Fits on the images and scores the last state of every seed; labels are the ignore mask and the score, no more.
"""

from __future__ import annotations

from typing import Any

import click

from pixelcluster.data.coco_stuff import CocoStuff
from pixelcluster.evaluation.per_pixel_tool import run, shared_options


@click.command(context_settings={"show_default": True})
@click.option("--classes", type=click.Choice(["3", "15"]), default="3")
@click.option(
    "--min-coverage", type=click.FloatRange(0, 1), default=0.01, help="Share of scored pixels an image needs."
)
@click.option(
    "--unlabelled-as-sky", is_flag=True, help="The original code's bug, for comparison (3 classes)."
)
@click.option("--by-rule", is_flag=True, help="Only images of at least 360 px, 75 % of them in the classes.")
@shared_options
def main(classes: str, min_coverage: float, unlabelled_as_sky: bool, by_rule: bool, **options: Any) -> None:
    """Fit on COCO-Stuff crops (images/ + labels/, or the official layout) and print per-pixel accuracy."""
    run(
        lambda root, image_list: CocoStuff(
            root, int(classes), image_list, min_coverage, unlabelled_as_sky, by_rule
        ),
        {"unlabelled": "sky" if unlabelled_as_sky else "ignored", "by_rule": by_rule},
        **options,
    )


if __name__ == "__main__":
    main()
