"""Check a data set before hours are spent on it: every file is read, what is missing or wrong is named.

    python tools/check_data.py coco-stuff-3 DIR
    python tools/check_data.py mnist DIR

Prints counts, sizes and label shares; exit code 1 and one line where something is wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pixelcluster.data import image_sets, labelled_sets
from pixelcluster.errors import PixelClusterError


@click.command()
@click.argument("name", type=click.Choice([*labelled_sets.NAMES, *image_sets.NAMES]))
@click.argument("root", type=click.Path(path_type=Path), required=False)
def main(name: str, root: Path | None) -> None:
    """Read the data set NAME below ROOT and say what is there."""
    try:
        if name in image_sets.NAMES:
            lines = image_sets.describe_image_set(image_sets.load_image_set(name, root))
        elif root is None:
            raise PixelClusterError(f"{name} is read from disk, no path given; name its folder")
        else:
            lines = labelled_sets.describe_labelled_set(labelled_sets.load_labelled_set(name, root))
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
