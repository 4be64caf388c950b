"""`pixelcluster segment` of a manifest, or on Ray: one line a result, none of them kept."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from pixelcluster.errors import counted, show_path

if TYPE_CHECKING:
    from pixelcluster.segmenting.method import Method
    from pixelcluster.segmenting.runs.jobs import Job, Outcome
    from pixelcluster.segmenting.runs.stream import Source

_SHOWN = 100
"""Errors repeated at the end; the journal has all of them."""


def throughput(count: int, seconds: float) -> str:
    """Return how fast it was, for example "40 images in 12.3 s: 3.25 a second"."""
    return f"{counted(count, 'image')} in {seconds:.1f} s: {count / max(seconds, 1e-9):.2f} a second"


class _Printer:
    """Prints outcomes as they come, and counts them."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.done = self.skipped = self.failed = 0
        self.errors: list[str] = []

    def show(self, outcome: Outcome) -> None:
        """Print an outcome."""
        if self.as_json:
            opening = "," if self.done + self.skipped + self.failed else "["
            click.echo(
                f"{opening}\n{textwrap.indent(json.dumps(outcome.as_json(), indent=2), '  ')}", nl=False
            )
        for message in outcome.warnings:
            click.echo(f"warning: {show_path(outcome.source)}: {message}", err=True)
        if outcome.error is not None:
            self.failed += 1
            self.errors += [outcome.error] if self.failed <= _SHOWN else []
        elif outcome.skipped:
            self.skipped += 1
        else:
            self.done += 1
            if not self.as_json:
                print_outcome(outcome)


def print_outcome(outcome: Outcome) -> None:
    """Print one line of a finished image."""
    files = ", ".join(show_path(path) for path in outcome.files)
    found = f"{counted(len(outcome.in_use), 'cluster')} in {outcome.seconds:.2f} s"
    click.echo(f"{show_path(outcome.source)}: {found} -> {files}")


def stream_command(
    source: Source, method: Method, *, use_ray: bool, workers: int | None, skip_existing: bool, as_json: bool
) -> bool:
    """Do the whole run; return whether everything went well.

    Raises:
        PixelClusterError: see `segmenting.runs.stream`.
    """
    from pixelcluster.io.write import make_folder
    from pixelcluster.segmenting.method import Segmenter
    from pixelcluster.segmenting.runs.batch import run_jobs
    from pixelcluster.segmenting.runs.journal import Journal
    from pixelcluster.segmenting.runs.stream import check_stream, run_stream

    def here(jobs: Iterator[Job]) -> Iterator[Outcome]:
        segmenter = Segmenter(method)
        for job in jobs:
            yield from run_jobs([job], (), segmenter, source.outputs)  # `run_stream` compares with inputs

    def on_ray(jobs: Iterator[Job]) -> Iterator[Outcome]:
        from pixelcluster.segmenting.runs.ray_engine import run_on_ray

        return run_on_ray(jobs, method, source.outputs, workers=workers)

    check_stream(source)
    make_folder(source.output)
    printer = _Printer(as_json=as_json)
    with Journal(source.journal()) as journal:
        started = time.perf_counter()
        engine = on_ray if use_ray else here
        passed = run_stream(source, engine, journal, printer.show, skip_existing=skip_existing)
        seconds = time.perf_counter() - started
    if as_json:
        click.echo("\n]" if printer.done + printer.skipped + printer.failed else "[]")
    else:
        if passed:
            click.echo(f"{show_path(journal.path)}: {counted(passed, 'input')} finished before")
        if printer.skipped:
            click.echo(f"{counted(printer.skipped, 'input')} skipped: the outputs exist")
        if printer.done:
            click.echo(throughput(printer.done, seconds))
    for error in printer.errors:
        click.echo(f"error: {error}", err=True)
    if printer.failed:
        count, tried = printer.failed, printer.failed + printer.done
        click.echo(f"{count} of {tried} inputs failed; {show_path(journal.path)} lists them", err=True)
    return not printer.failed
