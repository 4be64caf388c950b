"""Parameter types and options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from pixelcluster.arguments import LARGEST_SEED

if TYPE_CHECKING:
    IntOrAuto = click.ParamType[int | Literal["auto"]]
    Numbers = click.ParamType[tuple[int, ...]]
    IntPair = click.ParamType[tuple[int, int]]
else:
    IntOrAuto = Numbers = IntPair = click.ParamType


class ClusterCount(IntOrAuto):
    """A number of clusters, or "auto"."""

    name = "N|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | Literal["auto"]:
        """Parse; anything else than auto or a number from 1 up is a usage error."""
        if value == "auto":
            return "auto"
        try:
            count = int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor 'auto'", param, ctx)
        if count < 1:
            self.fail(f"{count} clusters; at least 1 is needed", param, ctx)
        return count


class NumberList(Numbers):
    """Whole numbers separated by commas.

    Args:
        least: the smallest one allowed.
    """

    name = "N,N,..."

    def __init__(self, least: int) -> None:
        self.least = least

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse; anything else is a usage error."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers, such as 4,3,2", param, ctx)
        if min(numbers) < self.least:
            self.fail(f"{min(numbers)} is too small; numbers start at {self.least}", param, ctx)
        return numbers


class Shard(IntPair):
    """One part of several: "2/8" is the second of eight."""

    name = "I/N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse; anything else, and a number outside 1 .. N, is a usage error."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", value)
        if match is None:
            self.fail(f"{value!r} is no shard, such as 1/8", param, ctx)
        number, count = int(match[1]), int(match[2])
        if not 1 <= number <= count:
            self.fail(f"{value!r}: of {count} shards, the first is 1 and the last {count}", param, ctx)
        return number, count


Command = TypeVar("Command", bound=Callable[..., Any])
# readable=False: click would stop the whole run over one unreadable file, with a usage text.
PATH = click.Path(path_type=Path, readable=False)
DEVICE = click.Choice(["auto", "cpu", "cuda"])

clusters = click.option(
    "-k",
    "--clusters",
    type=ClusterCount(),
    metavar="N|auto",
    help="Number of clusters, or auto.  [default: auto]",
)
seed = click.option(
    "--seed",
    type=click.IntRange(0, LARGEST_SEED),
    default=0,
    show_default=True,
    help="Same seed, same result; a picture without a model has nothing random.",
)
device = click.option(
    "--device", type=DEVICE, default="auto", show_default=True, help="Where the model runs."
)
checkpoint_every = click.option(
    "--checkpoint-every",
    type=click.FloatRange(0),
    metavar="MINUTES",
    default=10.0,
    show_default=True,
    help="How much work a crash can cost.",
)
resume = click.option("--resume", type=PATH, metavar="DIR", help="Go on with the run of this folder.")
overwrite = click.option("--overwrite", is_flag=True, help="Replace existing outputs instead of refusing.")
stack = click.option(
    "--stack",
    metavar="NAME",
    help="What the model explains: rgb, lab, sobel, texture, patches, encoder, correspondence, or several "
    "joined by +. segment without --model then fits the whole model to each picture, as --mode exact.",
)
max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=100_000_000,
    show_default=True,
    help="Refuse larger images, before decoding.",
)

opacity = click.option(
    "--opacity",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Of the colours over the picture.",
)


def palette(default: str) -> Callable[[Command], Command]:
    """Return the option `--palette`; `default` says what is taken without it."""
    text = f"categorical, mean, grey, or a file (r g b or #rrggbb lines, .json, .gpl); {default} if left out."
    return click.option("--palette", metavar="NAME|FILE", help=text)


class GroupedCommand(click.Command):
    """A command whose help lists some options under headings of their own.

    Args:
        sections: heading -> names of its parameters; the others come first, under "Options".
        rest: see `click.Command`.
    """

    def __init__(self, *rest: Any, sections: Mapping[str, Collection[str]], **options: Any) -> None:
        super().__init__(*rest, **options)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, those of each section together."""
        grouped = {name: heading for heading, names in self.sections.items() for name in names}
        for heading in ("Options", *self.sections):
            own = (
                param
                for param in self.get_params(ctx)
                if isinstance(param, click.Option) and grouped.get(str(param.name), "Options") == heading
            )
            records = [record for param in own if (record := param.get_help_record(ctx)) is not None]
            with formatter.section(heading):
                formatter.write_dl(records)


def check_resumed(ctx: click.Context, *free: str) -> None:
    """Refuse what `--resume` takes from the run itself.

    Args:
        ctx: of the command.
        free: names of the parameters that may be given.
    """
    for param in ctx.command.params:
        source = ctx.get_parameter_source(str(param.name))
        if source is click.core.ParameterSource.COMMANDLINE and param.name not in {"resume", *free}:
            name = param.opts[-1] if isinstance(param, click.Option) else param.human_readable_name
            raise click.UsageError(f"--resume takes {name} from the run itself; leave it out")
