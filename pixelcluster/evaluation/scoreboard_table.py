"""The runs of a scoreboard as entries, and these as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pixelcluster.errors import PixelClusterError, show_path

_KEYS = {
    *("data", "method", "seed", "minutes", "n_images", "ours", "pretrained"),
    *("acc", "seconds", "seconds_predict", "majority", "published"),
}
"""Of every run's report."""


@dataclass(frozen=True)
class Entry:
    """A cell of the scoreboard.

    Attributes:
        data: name of the data set.
        method: name of the method, or of its settings.
        ours: whether it is the clustered generator.
        pretrained: whether weights learned on other images are in it.
        acc: percent, one a seed.
        acc_odd: percent on every second image, which settings were not tuned on, one a seed; empty where the
            protocol has no halves.
        seconds: of the fit, CPU time, one a seed.
        seconds_predict: of labelling all scored images, CPU time, one a seed.
        majority: share of the largest class, percent.
        published: the paper's figure on the full data set, percent; None: there is none.
        n_images: that were scored.
        minutes: the budget of the fit, of CPU time.
    """

    data: str
    method: str
    ours: bool
    pretrained: bool
    acc: tuple[float, ...]
    acc_odd: tuple[float, ...]
    seconds: tuple[float, ...]
    seconds_predict: tuple[float, ...]
    majority: float
    published: float | None
    n_images: int
    minutes: float


def read_run(path: Path) -> dict[str, Any]:
    """Return a run's report.

    Raises:
        PixelClusterError: the file is none.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PixelClusterError(f"{show_path(path)}: is no run of a scoreboard; delete it") from error
    if not isinstance(report, dict) or not set(report) >= _KEYS:
        raise PixelClusterError(f"{show_path(path)}: is no run of a scoreboard; delete it")
    return report


def read_entries(files: Iterable[Path]) -> list[Entry]:
    """Return the cells of runs of one call, see `run_all`; best first within a data set.

    Raises:
        PixelClusterError: a file that is no run.
    """
    cells: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for path in files:
        report = read_run(path)
        cells.setdefault((report["data"], report["method"]), []).append(report)
    entries = []
    for (data, method), reports in cells.items():
        first = reports[0]
        halves = [report.get("acc_odd") for report in reports]
        entries.append(
            Entry(
                data,
                method,
                ours=first["ours"],
                pretrained=first["pretrained"],
                acc=tuple(report["acc"] for report in reports),
                acc_odd=tuple(half for half in halves if half is not None),
                seconds=tuple(report["seconds"] for report in reports),
                seconds_predict=tuple(report["seconds_predict"] for report in reports),
                majority=first["majority"],
                published=first["published"],
                n_images=first["n_images"],
                minutes=first["minutes"],
            )
        )
    return sorted(entries, key=lambda entry: (entry.data, -float(np.mean(entry.acc))))


def markdown(entries: Iterable[Entry]) -> str:
    """Return a table a data set."""
    lines: list[str] = []
    data = None
    for entry in entries:
        if entry.data != data:
            data = entry.data
            lines += [
                "",
                f"**{data}**: {entry.n_images:,} images scored, largest class {entry.majority:.1f} %; "
                f"budget {entry.minutes:g} CPU minutes a fit",
                "",
                "| method | regime | ACC | odd half | seeds | CPU s a fit | CPU s to label all | published |",
                "|---|---|---|---|---|---|---|---|",
            ]
        published = "-" if entry.published is None else f"{entry.published:g}"
        lines.append(
            f"| {entry.method} | {'pretrained' if entry.pretrained else 'from scratch'} | "
            f"{_mean(entry.acc)} | {_mean(entry.acc_odd)} | {len(entry.acc)} | "
            f"{np.mean(entry.seconds):.0f} | {np.mean(entry.seconds_predict):.0f} | {published} |"
        )
    return "\n".join(lines).strip() + "\n"


def _mean(values: tuple[float, ...]) -> str:
    """Return mean and, of several values, spread."""
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else "-"
    return f"{np.mean(values):.1f} +- {np.std(values):.1f}"
