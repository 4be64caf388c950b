"""What a run is to do: which images, and which files each will give; and what became of each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS
from pixelcluster.io.label_map import LabelFormat, label_format
from pixelcluster.io.naming import Place, plan_places
from pixelcluster.io.polygons import PolygonOptions
from pixelcluster.io.read import SUFFIXES, list_images
from pixelcluster.io.tiff_header import is_raster
from pixelcluster.io.video_header import VIDEO_LABELS, is_video
from pixelcluster.io.write import check_writable
from pixelcluster.segmenting.segmentation import ClusterRow


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Which files each image gets."""

    label_format: LabelFormat | None = None
    """None: PNG; rasters and videos have a format of their own and refuse another."""
    overlay: bool = True
    probabilities: bool = False
    entropy: bool = False
    overwrite: bool = False
    polygons: Path | None = None
    """Of a single raster."""
    polygon_options: PolygonOptions = field(default_factory=PolygonOptions)
    legend: bool = True
    """Beneath the overlay; this and what follows is of pictures alone."""
    opacity: float = 0.5
    """Of the overlay's colours."""
    palette: str | None = None
    """See `render.palette_file.chosen_palette`; None: categorical."""

    def labels(self) -> str:
        """Return the end of a label map's name, where the user names none."""
        return f"_labels.{self.label_format or 'png'}"


@dataclass(frozen=True)
class Job:
    """One image and the files it will give, by role."""

    source: Path
    files: dict[str, Path]
    raster: bool = False
    """Whether it is read window by window; see `io.tiff_header.is_raster`."""
    video: bool = False
    """Whether it is read frame by frame; see `io.video_header.is_video`."""
    listed: str = ""
    """Where a manifest names it, for messages: "list.txt, line 3: "."""

    def failed(self, reason: str, *, done_before: bool = False) -> Outcome:
        """Return the outcome of a job that could not be done, maybe as its outputs were in the way."""
        return Outcome(self.source, error=f"{self.listed}{reason}", done_before=done_before)


@dataclass(frozen=True)
class Outcome:
    """What became of one input: files and a table, or an error; or nothing, as it was finished before."""

    source: Path
    files: tuple[Path, ...] = ()
    table: tuple[ClusterRow, ...] = ()
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader of the table may wonder about."""
    error: str | None = None
    done_before: bool = False
    """Whether the error is that all of its outputs exist and may not be replaced."""
    skipped: bool = False
    info: Mapping[str, object] = field(default_factory=dict)
    """mode, stack, ... of a picture; see `Segmentation.info`."""

    @property
    def in_use(self) -> list[ClusterRow]:
        """The rows of clusters that have pixels here, by id."""
        return [row for row in self.table if row.pixels]

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints for this input."""
        if self.error is not None:
            return {"input": str(self.source), "error": self.error}
        if self.skipped:
            return {
                "input": str(self.source), "outputs": [str(path) for path in self.files], "skipped": True
            }  # fmt: skip
        values = [row.mean_value for row in self.table]
        return {
            "input": str(self.source),
            "outputs": [str(path) for path in self.files],
            "n_clusters": len(self.table),
            "names": [row.name for row in self.table],
            "shares": [row.share for row in self.table],
            "mean_colours": [row.mean_colour for row in self.table],
            **({} if all(value is None for value in values) else {"mean_values": values}),
            "seconds": round(self.seconds, 4),
            "warnings": list(self.warnings),
        }


def plan_jobs(
    inputs: Sequence[Path], output: Path | None, outputs: Outputs, *, max_pixels: int = MAX_PIXELS
) -> tuple[list[Job], list[Outcome]]:
    """Find the images and name their outputs, before any work.

    Args:
        inputs: files and folders.
        output: folder for the outputs; or, for one file, the label map itself (.png, .tif, .npz); or None to
            write next to the inputs.
        outputs: which files are wanted.
        max_pixels: larger TIFFs are rasters.

    Returns:
        The jobs, and an outcome for each input in which nothing can be found.

    Raises:
        PixelClusterError: `output` names one file for several images, or is no .tif for a raster; polygons
            of anything but one raster.
    """
    groups: list[tuple[Path, list[Path]]] = []
    failed: list[Outcome] = []
    known: set[str] = set()
    for item in inputs:
        try:
            found = [path for path in list_images([item]) if os.path.realpath(path) not in known]
        except PixelClusterError as error:
            failed.append(Outcome(item, error=str(error)))
            continue
        known.update(os.path.realpath(path) for path in found)
        groups.append((item, found))
    if output is None or not names_a_file(output):
        places = plan_places(groups, output)
        jobs = [plan_job(place, outputs.labels(), outputs, max_pixels) for place in places]
    elif len(inputs) > 1 or os.path.isdir(inputs[0]):
        raise PixelClusterError(f"{show_path(output)}: is one file for several images; give -o a folder")
    else:
        place = Place(inputs[0], output.parent, output.stem)
        jobs = [plan_job(place, output.suffix, outputs, max_pixels)] if groups else []
    if outputs.polygons is not None and (len(jobs) != 1 or not jobs[0].raster):
        raise PixelClusterError(
            f"--polygons wants one georeferenced raster, got {len(jobs)} inputs, "
            f"{sum(job.raster for job in jobs)} of them rasters"
        )
    if outputs.polygons is not None:
        check_writable(outputs.polygons, overwrite=True)  # an existing file may mean a finished job
    return jobs, failed


def choose_format(output: Path | None, wanted: LabelFormat | None) -> LabelFormat | None:
    """The format of the label maps: what the file name or the user says.

    Args:
        output: folder or file, as for `plan_jobs`.
        wanted: what `--format` says, if anything.

    Returns:
        "png", "tif" or "npz"; None where nobody says, or the name is that of a video.

    Raises:
        PixelClusterError: the two contradict each other, or the file name ends in something else.
    """
    if output is None or not names_a_file(output):
        return wanted
    named = None if output.suffix.lower() == VIDEO_LABELS else label_format(output)
    if wanted not in (None, named):
        raise PixelClusterError(
            f"{show_path(output)}: does not end in .{wanted} as --format says; drop one of them"
        )
    return named


def names_a_file(output: Path) -> bool:
    """Whether `-o` means one label map, not a folder: told by its suffix, unless such a folder exists."""
    return output.suffix.lower() in {*SUFFIXES, ".npz", VIDEO_LABELS} and not os.path.isdir(output)


def plan_job(place: Place, labels: str, outputs: Outputs, max_pixels: int) -> Job:
    """Name the files of one input.

    Args:
        place: where they go.
        labels: ending of the label map's name.
        outputs: which files are wanted.
        max_pixels: larger TIFFs are rasters.

    Raises:
        PixelClusterError: a raster or video whose label map is asked for in another format.
    """
    if is_video(place.source):
        return _video_job(place, labels, outputs)
    if labels.endswith(VIDEO_LABELS):
        raise PixelClusterError(
            f"{show_path(place.source)}: {VIDEO_LABELS} holds the labels of a video; end -o in .png or .tif"
        )
    raster = is_raster(place.source, max_pixels=max_pixels)
    if raster:  # an image format could keep neither the place on earth nor the size
        labels = _own_format(place, labels, outputs, "raster is a GeoTIFF", (".tif", ".tiff"))
    files = {"labels": place.file(labels)}
    if outputs.overlay:
        files["overlay"] = place.file("_overlay.png")
    if outputs.probabilities and outputs.label_format != "npz":  # an NPZ label map holds them itself
        files["probabilities"] = place.file("_probabilities.npz")
    if outputs.entropy:
        files["entropy"] = place.file("_entropy.png")
    if outputs.polygons is not None:
        files["polygons"] = outputs.polygons
    return Job(place.source, files, raster)


def _own_format(place: Place, labels: str, outputs: Outputs, what: str, suffixes: tuple[str, ...]) -> str:
    """Return the end of the label map's name; refuse one that the user has chosen and that does not fit."""
    if outputs.label_format is None and labels == outputs.labels():
        return f"_labels{suffixes[0]}"
    if not labels.lower().endswith(suffixes):
        raise PixelClusterError(
            f"{show_path(place.source)}: the label map of a {what}; end -o in {suffixes[0]}, or give -o a "
            "folder and leave --format out"
        )
    return labels


def _video_job(place: Place, labels: str, outputs: Outputs) -> Job:
    labels = _own_format(place, labels, outputs, f"video is a lossless one ({VIDEO_LABELS})", (VIDEO_LABELS,))
    files = {"labels": place.file(labels)}
    if outputs.overlay:
        files["overlay"] = place.file("_overlay.mp4")
    return Job(place.source, files, video=True)
