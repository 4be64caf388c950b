"""Per-pixel ACC on CMP Facades at 256 px, beside K-means on RGB pixels in the same run.

    python tools/eval_facades.py --root DIR --classes 4 --config FILE --json out.json

Fits on all images of the folder; with 4 classes background and shop are outside fit and score.
"""

from __future__ import annotations

from typing import Any

import click

from pixelcluster.data.facades import Facades
from pixelcluster.evaluation.per_pixel_tool import run, shared_options


@click.command(context_settings={"show_default": True})
@click.option("--classes", type=click.Choice(["4", "12"]), default="12")
@shared_options
def main(classes: str, **options: Any) -> None:
    """Fit on CMP Facades (base/ + extended/, or images/ + labels/) and print per-pixel accuracy."""
    run(lambda root, image_list: Facades(root, int(classes), image_list), {}, **options)


if __name__ == "__main__":
    main()
