"""Per-pixel ACC on ISPRS Potsdam in the protocol of IIC, beside K-means on raw pixels in the same run.

    python tools/eval_potsdam.py --root DIR --classes 3 --config FILE --json out.json

Reads the official tiles below DIR, fits on all patches and scores those of the 24 labelled tiles.
"""

from __future__ import annotations

from typing import Any

import click

from pixelcluster.data.potsdam import Potsdam
from pixelcluster.evaluation.per_pixel_tool import run, shared_options


@click.command(context_settings={"show_default": True})
@click.option("--classes", type=click.Choice(["3", "6"]), default="6")
@shared_options
def main(classes: str, **options: Any) -> None:
    """Fit on Potsdam patches of 200 px and print per-pixel accuracy."""
    run(lambda root, image_list: Potsdam(root, int(classes), image_list), {}, **options)


if __name__ == "__main__":
    main()
