"""Runs of any length: jobs come one by one from manifests and folders, results go to disk and are let go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.naming import Place
from pixelcluster.segmenting.runs.jobs import Job, Outcome, Outputs, names_a_file, plan_job, plan_jobs
from pixelcluster.segmenting.runs.journal import Journal, PathSet, path_number
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

        What is listed twice, or given beside the lists, is done once, and of several whose outputs would meet
        the first: of each path and of its outputs' name 64 bits are remembered.

        Raises:
            PixelClusterError: a manifest or a list of outputs that makes no sense.
        """
        number, count = self.shard or (1, 1)
        plain = [path for path in self.inputs if not is_manifest(path)]
        found, failed = plan_jobs(plain, self.output, self.outputs, max_pixels=self.max_pixels)
        yield from failed
        yield from take_shard(found, number, count) if self.shard else found
        listed = self._listed(found)
        for where, place, is_taken in islice(listed, number - 1, None, count):
            try:
                if is_taken:
                    name = show_path(place.source)
                    raise PixelClusterError(f"{name}: its outputs are named as another's; give it another -o")
                job = plan_job(place, self.outputs.labels(), self.outputs, self.max_pixels)
                yield replace(job, listed=where)
            except PixelClusterError as error:
                yield Outcome(place.source, error=f"{where}{error}")

    def _listed(self, found: Sequence[Job]) -> Iterator[tuple[str, Place, bool]]:
        """Yield where each image of the manifests is named and goes, once, and whether another goes there."""
        known = {path_number(os.path.abspath(job.source)) for job in found}
        # Without the suffix, which differs between a picture's label map and a raster's.
        taken = {path_number(str(job.files["labels"].with_suffix(""))) for job in found}
        for manifest in filter(is_manifest, self.inputs):
            for line, path in read_manifest(manifest):
                number = path_number(os.path.abspath(path))
                if number not in known:
                    known.add(number)
                    place = place_listed(path, self.output)
                    goal = path_number(str(place.file("_labels")))
                    yield f"{show_path(manifest)}, line {line}: ", place, goal in taken
                    taken.add(goal)


def run_stream(source: Source, engine: Engine, journal: Journal, note: Note, *, skip_existing: bool) -> int:
    """Do the jobs that are not done yet, and write down each as it ends.

    An input is done if all its outputs exist, and either its journal was begun by an earlier run (which may
    have been killed between an image's files and its line) or the user says so. Those with a line in the
    journal are passed over silently. Who asks for `overwrite` alone has all of them done again.

    Args:
        source: what to do.
        engine: does jobs, in any order.
        journal: of this run and earlier ones.
        note: is told of each outcome.
        skip_existing: files that exist mean that an input is done, also with `overwrite`.

    Returns:
        The number of inputs passed over silently.

    Raises:
        PixelClusterError: see `Source.jobs` and `Journal`.
    """
    overwrite, passed = source.outputs.overwrite, 0
    sources = PathSet(os.path.realpath(item.source) for item in source.jobs()) if overwrite else PathSet(())
    skipping = skip_existing or (journal.begun and not overwrite)

    def report(outcome: Outcome) -> None:
        journal.add(outcome)
        note(outcome)

    def todo() -> Iterator[Job]:
        nonlocal passed
        for item in source.jobs():
            if isinstance(item, Outcome):
                report(item)
            elif skipping and is_finished(item):
                if str(item.source) in journal.finished:
                    passed += 1
                else:
                    report(Outcome(item.source, files=tuple(item.files.values()), skipped=True))
            elif any(os.path.realpath(path) in sources for path in item.files.values()):
                name = show_path(item.source)
                report(item.failed(f"{name}: an output would replace an input; change -o"))
            else:
                yield item

    for outcome in engine(todo()):
        report(outcome)
    return passed


def check_stream(source: Source) -> None:
    """Refuse what a run of any length cannot do.

    Raises:
        PixelClusterError: outputs that are one file.
    """
    if names_a_file(source.output):
        raise PixelClusterError(
            f"{show_path(source.output)}: a manifest and --engine ray want a folder; give -o a folder"
        )
