"""`pixelcluster serve`."""

from __future__ import annotations

from pathlib import Path

import click

from pixelcluster.cli import params
from pixelcluster.errors import PixelClusterError


@click.command("serve")
@click.option(
    "--model", type=params.PATH, metavar="DIR", help="A trained model: ids then mean the same on every image."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Of this machine; 0 takes a free one.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=25_000_000,
    show_default=True,
    help="Refuse larger images, before decoding.",
)
@params.seed
@params.device
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page.")
def command(model: Path | None, port: int, max_pixels: int, seed: int, device: str, browser: bool) -> None:
    """Open a page in the browser: segment, correct, name and download.

    The page is served to this machine alone (127.0.0.1). Images stay in memory and are forgotten when the
    command ends; Ctrl-C ends it.

    \b
    Examples:
        pixelcluster serve
        pixelcluster serve --model model/ --port 9000
        pixelcluster serve --no-browser
    """
    try:
        from pixelcluster.web.api import Settings
        from pixelcluster.web.server import serve
    except ModuleNotFoundError as error:
        raise PixelClusterError(
            f"the page needs {error.name}, which is not installed; pip install 'pixelcluster[web]'"
        ) from None

    def ready(address: str) -> None:
        click.echo(f"{address}  (Ctrl-C ends it)")
        if browser:
            click.launch(address)

    serve(Settings(model=model, max_pixels=max_pixels, seed=seed, device=device), port, ready)
