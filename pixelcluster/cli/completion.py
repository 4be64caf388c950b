"""`pixelcluster completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the shell completion script.

    \b
    Add one line to the start-up file of the shell:
        bash (~/.bashrc)   eval "$(pixelcluster completion bash)"
        zsh  (~/.zshrc)    eval "$(pixelcluster completion zsh)"
        fish (config.fish) pixelcluster completion fish | source
    """
    completion = get_completion_class(shell)
    if completion is not None:  # the choices above all exist
        click.echo(completion(ctx.find_root().command, {}, "pixelcluster", "_PIXELCLUSTER_COMPLETE").source())
