"""`pixelcluster segment` of files and folders: all of them planned first, then done one after another."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pixelcluster.cli.outcomes import Printer
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.stopping import Interrupted

if TYPE_CHECKING:
    from pixelcluster.render.report import Album
    from pixelcluster.segmenting.method import Method
    from pixelcluster.segmenting.runs.jobs import Job, Outcome, Outputs


def one_pass_command(
    inputs: Sequence[Path],
    output: Path | None,
    outputs: Outputs,
    method: Method,
    *,
    shard: tuple[int, int] | None,
    skip_existing: bool,
    report: Path | None,
    as_json: bool,
) -> bool:
    """Do the whole run; return whether everything went well.

    Args:
        inputs: images and folders.
        output: folder or file, see `plan_jobs`.
        outputs: which files each image gets.
        method: how.
        shard: (number from 1, count): every count-th input alone.
        skip_existing: go past inputs whose outputs all exist.
        report: page to write of the run.
        as_json: print one JSON list.

    Raises:
        PixelClusterError: choices that make no sense together, or for these inputs.
        Interrupted: by a signal; the message says how much is done.
    """
    from pixelcluster.io.naming import real_paths
    from pixelcluster.segmenting.runs.jobs import plan_jobs
    from pixelcluster.segmenting.runs.selection import split_finished, take_shard

    planned, outcomes = plan_jobs(inputs, output, outputs, max_pixels=method.max_pixels)
    if method.scribbles is not None and len(planned) != 1:
        raise PixelClusterError(f"--scribbles belong to one image, got {len(planned)} inputs; name one")
    if method.bands is not None and len(planned) > 1 and not any(job.raster or job.video for job in planned):
        raise PixelClusterError("--bands is for rasters, and all inputs are read as pictures; leave it out")
    sources = real_paths(job.source for job in planned)
    jobs = planned if shard is None else take_shard(planned, *shard)
    if skip_existing:
        jobs, finished = split_finished(jobs)
        outcomes.extend(finished)
        if not as_json:
            click.echo(f"{len(finished)} of {len(finished) + len(jobs)} inputs skipped: their outputs exist")
    album = None
    if report is not None:
        from pixelcluster.render.report import Album, check_report

        check_report(report, sources, overwrite=outputs.overwrite)
        album = Album()
    single = len(jobs) == 1
    printer = Printer(as_json=as_json, tables=single)
    for outcome in () if as_json else outcomes:
        printer.show(outcome)
    started = time.perf_counter()
    results: list[Outcome] = []
    # While a bar is shown, standard output is its terminal: JSON and the one table come after it.
    shown_late = as_json or single
    with _told_how_far(jobs, results), _runs(jobs, sources, method, outputs, album) as runs:
        for outcome in runs:
            results.append(outcome)
            if not shown_late:
                printer.show(outcome)
    for outcome in (*outcomes, *results) if as_json else results if single else ():
        printer.show(outcome)
    passed = printer.end(None if single else time.perf_counter() - started)
    if report is not None and album is not None:
        from pixelcluster.render.report import write_report

        settings = method.described()
        if shard is not None:
            settings["shard"] = "{}/{}".format(*shard)
        write_report(report, [*outcomes, *results], album.pages, settings, overwrite=outputs.overwrite)
        if not as_json:
            click.echo(f"report -> {show_path(report)}")
    return passed


@contextmanager
def _runs(
    jobs: Sequence[Job], sources: frozenset[str], method: Method, outputs: Outputs, album: Album | None
) -> Iterator[Iterator[Outcome]]:
    """Give the outcomes of jobs one by one, with a bar where there is a terminal."""
    from pixelcluster.cli.progress import share_bar, track
    from pixelcluster.segmenting.method import Segmenter
    from pixelcluster.segmenting.runs.batch import run_jobs

    if not jobs:
        yield iter(())
        return
    segmenter = Segmenter(method)
    if len(jobs) == 1 and (jobs[0].raster or jobs[0].video):
        with share_bar("segmenting") as show:
            yield run_jobs(jobs, sources, segmenter, outputs, album=album, share_done=show)
        return
    runs = run_jobs(jobs, sources, segmenter, outputs, album=album)
    yield track(runs, len(jobs), "segmenting") if len(jobs) > 1 and sys.stderr.isatty() else runs


@contextmanager
def _told_how_far(jobs: Sequence[Job], results: Sequence[Outcome]) -> Iterator[None]:
    """Where a signal ends a run of many inputs, say how many are done and how to go on."""
    try:
        yield
    except Interrupted as stop:
        if len(jobs) < 2:
            raise
        done = sum(outcome.error is None for outcome in results)
        message = f"interrupted: {done} of {len(jobs)} inputs done; go on with --skip-existing"
        raise Interrupted(stop.signum, message) from None
