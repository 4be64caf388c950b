"""`pixelcluster segment` of a manifest, or on Ray: one line a result, none of them kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from pixelcluster.cli.outcomes import Printer
from pixelcluster.errors import counted, show_path

if TYPE_CHECKING:
    from pixelcluster.segmenting.method import Method
    from pixelcluster.segmenting.runs.jobs import Job, Outcome
    from pixelcluster.segmenting.runs.stream import Source


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
    printer = Printer(as_json=as_json)
    with Journal(source.journal()) as journal:
        started = time.perf_counter()
        engine = on_ray if use_ray else here
        passed = run_stream(source, engine, journal, printer.show, skip_existing=skip_existing)
        seconds = time.perf_counter() - started
    if not as_json and passed:
        click.echo(f"{show_path(journal.path)}: {counted(passed, 'input')} finished before")
    if not as_json and printer.skipped:
        click.echo(f"{counted(printer.skipped, 'input')} skipped: the outputs exist")
    return printer.end(seconds, listed=f"; {show_path(journal.path)} lists them")
