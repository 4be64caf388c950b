"""Runs of any length: jobs come one by one from manifests and folders, results go to disk and are let go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.segmenting.runs.jobs import Job, Outcome, Outputs, names_a_file, plan_job, plan_jobs
from pixelcluster.segmenting.runs.journal import Journal, PathSet
from pixelcluster.segmenting.runs.manifest import is_manifest, place_listed, read_manifest
from pixelcluster.segmenting.runs.selection import is_finished, take_shard

Note = Callable[[Outcome], None]
Engine = Callable[[Iterator[Job]], Iterator[Outcome]]


@dataclass(frozen=True)
class Source:
    """What a run reads and where it writes.

    Attributes:
        inputs: manifests, images and folders.
        output: folder of all outputs.
        outputs: which files each image gets.
        shard: (number from 1, count): every count-th job alone.
        max_pixels: larger TIFFs are rasters.
    """

    inputs: Sequence[Path]
    output: Path
    outputs: Outputs
    shard: tuple[int, int] | None = None
    max_pixels: int = MAX_PIXELS

    def journal(self) -> Path:
        """Return the name of the run's journal; each shard has its own."""
        part = "" if self.shard is None else "-{}-of-{}".format(*self.shard)
        return self.output / f"journal{part}.jsonl"

    def jobs(self) -> Iterator[Job | Outcome]:
        """Yield the jobs of this shard, and an outcome for each input that gives none.

        Raises:
            PixelClusterError: a manifest or a list of outputs that makes no sense.
        """
        number, count = self.shard or (1, 1)
        plain = [path for path in self.inputs if not is_manifest(path)]
        found, failed = plan_jobs(plain, self.output, self.outputs, max_pixels=self.max_pixels)
        yield from failed
        yield from take_shard(found, number, count) if self.shard else found
        listed = chain.from_iterable(read_manifest(path) for path in self.inputs if is_manifest(path))
        for path in islice(listed, number - 1, None, count):
            try:
                place = place_listed(path, self.output)
                yield plan_job(place, f"_labels.{self.outputs.label_format}", self.outputs, self.max_pixels)
            except PixelClusterError as error:
                yield Outcome(path, error=str(error))


def run_stream(source: Source, engine: Engine, journal: Journal, note: Note, *, skip_existing: bool) -> None:
    """Do the jobs that are not done yet, and write down each as it ends.

    Inputs that the journal has as finished are passed over silently. Those whose outputs all exist are
    skipped on request, and where the journal was begun by an earlier run: it may have been killed between an
    image's files and its line.

    Args:
        source: what to do.
        engine: does jobs, in any order.
        journal: of this run and earlier ones.
        note: is told of each outcome.
        skip_existing: see above.

    Raises:
        PixelClusterError: see `Source.jobs` and `Journal`.
    """
    taken = source.outputs.overwrite
    sources = PathSet(os.path.realpath(item.source) for item in source.jobs()) if taken else PathSet(())

    def report(outcome: Outcome) -> None:
        journal.add(outcome)
        note(outcome)

    def todo() -> Iterator[Job]:
        for item in source.jobs():
            if str(item.source) in journal.finished:
                continue
            if isinstance(item, Outcome):
                report(item)
            elif (skip_existing or journal.begun) and is_finished(item):
                report(Outcome(item.source, files=tuple(item.files.values()), skipped=True))
            elif any(os.path.realpath(path) in sources for path in item.files.values()):
                name = show_path(item.source)
                report(Outcome(item.source, error=f"{name}: an output would replace an input; change -o"))
            else:
                yield item

    for outcome in engine(todo()):
        report(outcome)


def check_stream(source: Source) -> None:
    """Refuse what a run of any length cannot do.

    Raises:
        PixelClusterError: outputs that are one file.
    """
    if names_a_file(source.output):
        raise PixelClusterError(
            f"{show_path(source.output)}: a manifest and --engine ray want a folder; give -o a folder"
        )
