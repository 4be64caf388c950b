"""Label maps to pictures: `python tools/colorize.py LABELMAP... -o DIR`, as `pixelcluster export` does."""

from __future__ import annotations

import sys

from pixelcluster.cli.main import cli

if __name__ == "__main__":
    cli(["export", *sys.argv[1:]], prog_name="colorize.py")
