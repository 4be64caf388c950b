"""The `pixelcluster` command: a group that loads a sub-command only when it runs."""

from __future__ import annotations

import warnings
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from pixelcluster import __version__
from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.stopping import Interrupted, StopSignals

# Name -> (module, first line of help). The line stands here so that `--help` imports none of the modules.
COMMANDS = {
    "segment": ("pixelcluster.cli.segment", "Segment images: label map, coloured overlay and table."),
    "train": (
        "pixelcluster.cli.train",
        "Train a model on a folder of images, so that ids agree across images.",
    ),
    "cluster": ("pixelcluster.cli.cluster", "Cluster whole images: one cluster an image."),
    "generate": ("pixelcluster.cli.generate", "Draw images that an image-level model generates."),
    "merge": ("pixelcluster.cli.merge", "Make clusters of a trained model one, without fitting again."),
    "name": ("pixelcluster.cli.name", "Name clusters of a trained model"),
    "serve": ("pixelcluster.cli.serve", "Open a page in the browser: segment, correct, name and download."),
    "export": ("pixelcluster.cli.export", "Turn label maps into other formats, or a model into one file."),
    "info": ("pixelcluster.cli.info", "Say what a model, label map or image holds."),
    "completion": ("pixelcluster.cli.completion", "Print the shell completion script."),
}


class LazyGroup(click.Group):
    """Loads commands by name, and ends every expected problem in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; name the nearest where there is none."""
        near = get_close_matches(args[0], COMMANDS, 1) if args[0] not in COMMANDS else []
        if near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table instead of importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; expected errors print one line and exit 1, Ctrl-C exits 130, SIGTERM 143."""
        try:
            with StopSignals() as ctx.obj:
                return super().invoke(ctx)
        except PixelClusterError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(1)
        except MemoryError:
            click.echo("error: not enough memory; use smaller images, or close other programs", err=True)
            ctx.exit(1)
        except Interrupted as interrupted:
            click.echo(str(interrupted), err=True)
            ctx.exit(interrupted.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(130)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pixelcluster")
def cli() -> None:
    """Unsupervised image segmentation: no labels, no network.

    \b
    One picture, nothing else needed:
        pixelcluster segment photo.jpg

    \b
    A folder, with the same cluster ids on every image:
        pixelcluster train photos/ -k 8 -o model/
        pixelcluster segment new/ --model model/ -o results/

    `pixelcluster COMMAND --help` shows examples and every option.
    """


def main() -> None:
    """Entry point of the console script."""
    plain = warnings.formatwarning

    def on_one_line(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if issubclass(category, PixelClusterWarning):
            return f"warning: {message}\n"
        return plain(message, category, filename, lineno, line)

    warnings.formatwarning = on_one_line
    cli(prog_name="pixelcluster")


if __name__ == "__main__":
    main()
