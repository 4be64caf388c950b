"""Per-pixel ACC on any images/ + labels/ folder, beside K-means on RGB pixels in the same run.

    python tools/eval_folder.py --root DIR --config FILE --json out.json

Labels are single-channel PNGs of ids with the stem of their image, 255 is outside fit and score.
"""

from __future__ import annotations

from typing import Any

import click

from pixelcluster.data.labelled_folder import LabelledFolder
from pixelcluster.evaluation.per_pixel_tool import run, shared_options


@click.command(context_settings={"show_default": True})
@click.option("--classes", type=click.IntRange(1, 254), help="Ids are 0..N-1.  [default: those of the files]")
@click.option("--max-side", type=click.IntRange(1), default=256, help="Longest side of images, in pixels.")
@shared_options
def main(classes: int | None, max_side: int, **options: Any) -> None:
    """Fit on a labelled folder and print per-pixel accuracy."""
    run(
        lambda root, image_list: LabelledFolder(root, classes, image_list, max_side),
        {"max_side": max_side},
        **options,
    )


if __name__ == "__main__":
    main()
