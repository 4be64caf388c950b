"""Learn the texture dictionary of the mode without a model from a folder of photographs, without labels.

    python tools/learn_textons.py photos/ --out pixelcluster/segmenting/alone/textons.npy

The one that ships was learned on every second of 233 unlabelled photographs of COCO (train2017).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.read import list_images, read_image
from pixelcluster.io.write import atomic_write
from pixelcluster.segmenting.alone.evidence import fine_channels
from pixelcluster.segmenting.alone.textons import learn_dictionary


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="NPY file, replaced.")
def main(images: tuple[Path, ...], out: Path) -> None:
    """Learn on IMAGES, files or folders; at least 32 pixels, better 100 photographs of all kinds."""
    try:
        paths = list_images(images)
        with click.progressbar(paths, label="reading", file=sys.stderr) as bar:
            means = learn_dictionary([fine_channels(read_image(path))[0][..., 0] / 100 for path in bar])
        with atomic_write(out, overwrite=True) as temporary, temporary.open("wb") as file:
            np.save(file, means)
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    click.echo(f"{len(paths)} images -> {out}")


if __name__ == "__main__":
    main()
