"""What `pixelcluster segment` prints of its inputs: a line each as they end, then what went wrong."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import click

from pixelcluster.errors import counted, show_path

if TYPE_CHECKING:
    from pixelcluster.segmenting.runs.jobs import Outcome

_SHOWN = 100
"""Errors repeated at the end."""


class Printer:
    """Prints outcomes as they come, and counts them.

    Args:
        as_json: one JSON list on standard output, and nothing else there.
        tables: print the clusters of each image too.
    """

    def __init__(self, *, as_json: bool, tables: bool = False) -> None:
        self.as_json, self.tables = as_json, tables
        self.done = self.skipped = self.failed = self.done_before = 0
        self._errors: list[str] = []

    def show(self, outcome: Outcome) -> None:
        """Print an outcome."""
        if self.as_json:
            opening = "," if self._count() else "["
            click.echo(
                f"{opening}\n{textwrap.indent(json.dumps(outcome.as_json(), indent=2), '  ')}", nl=False
            )
        for message in outcome.warnings:
            click.echo(f"warning: {show_path(outcome.source)}: {message}", err=True)
        for message in () if self.as_json else outcome.notes:
            click.echo(f"note: {show_path(outcome.source)}: {message}", err=True)
        if outcome.error is not None:
            self.failed += not outcome.done_before
            self.done_before += outcome.done_before
            if self.done_before == 1 if outcome.done_before else self.failed <= _SHOWN:
                self._errors.append(outcome.error)
        elif outcome.skipped:
            self.skipped += 1
        else:
            self.done += 1
            if not self.as_json:
                self._print(outcome)

    def end(self, seconds: float | None, listed: str = "") -> bool:
        """Print how fast it was and what went wrong; return whether nothing did.

        Args:
            seconds: that the run took; None: of no interest.
            listed: where all errors stand, for example "; out/journal.jsonl lists them".
        """
        if self.as_json:
            click.echo("\n]" if self._count() else "[]")
        elif self.done and seconds is not None:
            speed = self.done / max(seconds, 1e-9)
            click.echo(f"{counted(self.done, 'image')} in {seconds:.1f} s: {speed:.2f} a second")
        for error in self._errors:
            click.echo(f"error: {error}", err=True)
        tried = self._count() - self.skipped
        if self.failed and (tried > 1 or listed):
            click.echo(f"{self.failed} of {tried} inputs failed{listed}", err=True)
        if self.done_before > 1:
            click.echo(
                f"{self.done_before} of {tried} inputs have their outputs already; --skip-existing passes "
                "over them, --overwrite does them again",
                err=True,
            )
        return not self.failed and not self.done_before

    def _count(self) -> int:
        return self.done + self.skipped + self.failed + self.done_before

    def _print(self, outcome: Outcome) -> None:
        if self.tables:
            from pixelcluster.cli.tables import print_clusters

            print_clusters(outcome.in_use)
        files = ", ".join(show_path(path) for path in outcome.files)
        found = f"{counted(len(outcome.in_use), 'cluster')} in {outcome.seconds:.2f} s"
        click.echo(f"{show_path(outcome.source)}: {found} -> {files}")
