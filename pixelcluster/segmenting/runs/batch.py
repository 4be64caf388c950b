"""Many files: segment each, write its outputs together, go on past the bad ones."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pixelcluster.errors import PixelClusterError, PixelClusterWarning, show_path
from pixelcluster.io.label_map import label_format, png_note
from pixelcluster.io.naming import refuse_replacing_inputs
from pixelcluster.io.soft_maps import encode_entropy, encode_probabilities
from pixelcluster.io.write import atomic_set, check_writable, make_folder
from pixelcluster.segmenting.colours import count_colours
from pixelcluster.segmenting.runs.jobs import Job, Outcome, Outputs
from pixelcluster.segmenting.runs.selection import is_finished
from pixelcluster.segmenting.segmentation import ClusterRow, Segmentation

if TYPE_CHECKING:
    from pixelcluster.render.report import Album
    from pixelcluster.segmenting.method import Segmenter


def run_jobs(
    jobs: Sequence[Job],
    sources: Container[str],
    segmenter: Segmenter,
    outputs: Outputs,
    *,
    album: Album | None = None,
    share_done: Callable[[float], None] = lambda share: None,
) -> Iterator[Outcome]:
    """Segment and write each image; a bad one becomes an outcome with an error.

    Args:
        jobs: from `plan_jobs`, all or some.
        sources: `real_paths` of all inputs, those of other processes too: none may be replaced.
        segmenter: the method.
        outputs: which files are wanted.
        album: takes small pictures for a report.
        share_done: called with the share of a raster that is done, from 0 to 1.

    Yields:
        One outcome a job, in order.
    """
    for job in jobs:
        yield _run(job, sources, segmenter, outputs, album, share_done)


def _run(
    job: Job,
    sources: Container[str],
    segmenter: Segmenter,
    outputs: Outputs,
    album: Album | None,
    share_done: Callable[[float], None],
) -> Outcome:
    started = time.perf_counter()
    info: Mapping[str, object] = {}
    notes: list[str] = []
    done_before, varied = False, True
    try:
        refuse_replacing_inputs(job.files.values(), sources)
        done_before = not outputs.overwrite and is_finished(job)
        for path in job.files.values():
            if os.path.exists(path.parent):
                check_writable(path, overwrite=outputs.overwrite)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", PixelClusterWarning)
            if job.raster or job.video:
                table = _run_in_parts(job, segmenter, outputs, album, share_done, notes)
                seconds = time.perf_counter() - started
            else:
                result = segmenter.image(job.source)
                if outputs.palette is not None:
                    result = result.recoloured(outputs.palette)
                _write(result, job, outputs)
                table, info = result.table(), result.info
                varied = count_colours(result.image, at_least=2) > 1
                seconds = float(str(info.get("seconds", 0.0)))
                if album is not None:
                    doubt = result.entropy if outputs.entropy else None
                    album.add(job.source, result.image, result.label_map, result.palette, doubt)
    except PixelClusterError as error:
        return job.failed(str(error), done_before=done_before)
    except MemoryError:
        name = show_path(job.source)
        return job.failed(f"{name}: not enough memory for this image; shrink it or cut it in tiles")
    except Exception as error:  # of a million files, one nobody foresaw must not end the run
        name, kind = show_path(job.source), type(error).__name__
        return job.failed(f"{name}: {kind}: {' '.join(str(error).split())[:160]}")
    if segmenter.method.chooses_number and sum(row.pixels > 0 for row in table) == 1 and varied:
        notes.append("one cluster found: nothing stands apart by colour or texture; -k 2 asks for two")
    return Outcome(
        job.source,
        files=tuple(job.files.values()),
        table=tuple(table),
        seconds=seconds,
        warnings=tuple(str(w.message).removeprefix(f"{show_path(job.source)}: ") for w in caught),
        notes=tuple(notes),
        info=info,
    )


def _run_in_parts(
    job: Job,
    segmenter: Segmenter,
    outputs: Outputs,
    album: Album | None,
    share_done: Callable[[float], None],
    notes: list[str],
) -> list[ClusterRow]:
    """Segment what may never be whole in memory, a raster or a video; add to the notes how it was read."""
    look = None if album is None else partial(album.add, job.source)
    overwrite = outputs.overwrite
    if (outputs.legend, outputs.opacity, outputs.palette) != (
        Outputs.legend,
        Outputs.opacity,
        Outputs.palette,
    ):
        raise PixelClusterError(
            f"{show_path(job.source)}: --no-legend, --opacity and --palette serve pictures; leave "
            "them out, and colour the label map with pixelcluster export"
        )
    if job.video:
        from pixelcluster.segmenting.videos.video import write_video_outputs

        with segmenter.video(job.source) as (video, frames):
            make_folder(job.files["labels"].parent)
            return write_video_outputs(
                video, frames, job.files, overwrite=overwrite, look=look, share_done=share_done
            )
    from pixelcluster.segmenting.rasters.outputs import write_raster_outputs
    from pixelcluster.segmenting.rasters.whole import why_in_windows

    method = segmenter.method
    with segmenter.raster(job.source) as (raster, windows):
        if method.model is None and (why := why_in_windows(raster, method.max_pixels)):
            notes.append(f"read in windows, by band values alone: {why}")
        make_folder(job.files["labels"].parent)
        options = outputs.polygon_options
        return write_raster_outputs(
            raster, windows, job.files, options, overwrite=overwrite, look=look, share_done=share_done
        )


def _write(result: Segmentation, job: Job, outputs: Outputs) -> None:
    make_folder(job.files["labels"].parent)
    with atomic_set(list(job.files.values()), overwrite=outputs.overwrite) as temporaries:
        for role, temporary in zip(job.files, temporaries, strict=True):
            if role == "labels":
                result.encode(temporary, label_format(job.files[role]))
            elif role == "overlay":
                # Level 3 takes half the time of the default 6 for a fifth more bytes.
                note = png_note("overlay of clusters")
                result.overlay(outputs.opacity, outputs.legend).save(
                    temporary, "PNG", pnginfo=note, compress_level=3
                )
            elif result.probabilities is None or result.entropy is None:
                raise PixelClusterError(
                    f"{show_path(job.source)}: this method gives no probabilities; leave --{role} out"
                )
            elif role == "probabilities":
                encode_probabilities(temporary, result.probabilities)
            else:
                encode_entropy(temporary, result.entropy, result.n_clusters)
