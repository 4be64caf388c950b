"""`python -m pixelcluster`."""

from __future__ import annotations

from pixelcluster.cli.main import main

if __name__ == "__main__":
    main()
