"""Methods x data sets side by side: same images, same protocol, same CPU time, the last state of each.

One run is one method on one data set with one seed; it is kept as a JSON file, so that a scoreboard that was
stopped goes on, and one that has grown only runs what is new.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelcluster import clock
from pixelcluster.baselines.registry import METHODS, load_method
from pixelcluster.config import RunConfig
from pixelcluster.config_file import load_config
from pixelcluster.data.image_sets import NAMES as IMAGE_SETS
from pixelcluster.data.image_sets import load_image_set
from pixelcluster.data.labelled import LabelledImage
from pixelcluster.data.labelled_sets import NAMES as PIXEL_SETS
from pixelcluster.data.labelled_sets import load_labelled_set
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.evaluation import image_level, per_pixel
from pixelcluster.evaluation.published import OURS, PUBLISHED
from pixelcluster.io.write import atomic_write, make_folder

VARIATIONAL = "variational"

Report = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A cell of the scoreboard.

    Attributes:
        data: name of the data set.
        method: name of the method, or of its settings.
        pretrained: whether weights learned on other images are in it.
        acc: percent, one a seed.
        seconds: of the fit, CPU time, one a seed.
        majority: share of the largest class, percent.
        published: the paper's figure on the full data set, percent; None: there is none.
        n_images: that were scored.
        minutes: the budget, of CPU time.
    """

    data: str
    method: str
    pretrained: bool
    acc: tuple[float, ...]
    seconds: tuple[float, ...]
    majority: float
    published: float | None
    n_images: int
    minutes: float


def is_image_level(data: str) -> bool:
    """Return whether a data set is clustered image by image; unknown names are folders of label maps."""
    return data in IMAGE_SETS


def method_names(data: str) -> list[str]:
    """Return the methods there are for a data set."""
    room = "image_level/" if is_image_level(data) else "per_pixel/"
    rivals = [name.removeprefix(room) for name in METHODS if name.startswith(room)]
    return [*rivals, VARIATIONAL, OURS]


def run_all(
    data: Mapping[str, Path],
    methods: Sequence[str],
    seeds: Sequence[int],
    output: Path,
    *,
    minutes: float,
    device: str = "auto",
    tell: Callable[[str], None] | None = None,
) -> list[Path]:
    """Run what is not there yet.

    Args:
        data: folder or file of each data set, by name.
        methods: names, or YAML files: the clustered generator with these settings; a method that does not
            exist for a data set is left out there.
        seeds: one run each.
        output: folder; each run is written to `runs/<data>/<method>-<seed>.json`.
        minutes: budget of a fit, of CPU time: all threads together, however busy the machine is.
        device: "auto", "cpu" or "cuda".
        tell: called with a line before and after each run.

    Returns:
        The files of all runs asked for.

    Raises:
        PixelClusterError: a method that no data set has, or files that are missing or wrong.
    """
    known = {name for own in data for name in method_names(own)}
    unknown = [name for name in methods if not name.endswith(".yaml") and name not in known]
    if unknown:
        raise PixelClusterError(f"unknown method {unknown[0]!r}; choose from {', '.join(sorted(known))}")
    stems = [Path(method).stem for method in methods]
    twice = [stem for stem in stems if stems.count(stem) > 1]
    if twice:
        raise PixelClusterError(f"two methods are called {twice[0]!r}; rename a file of settings")
    files = []
    for own, path in data.items():
        folder = make_folder(output / "runs" / own)
        for method in methods:
            if not method.endswith(".yaml") and method not in method_names(own):
                continue
            for seed in seeds:
                target = folder / f"{Path(method).stem}-{seed}.json"
                files.append(target)
                settings = _settings(method)
                if _is_done(target, minutes, settings):
                    continue
                if tell is not None:
                    tell(f"{own}: {method}, seed {seed}")
                run_one = run_image_level if is_image_level(own) else run_per_pixel
                with clock.counting_cpu():
                    report = run_one(own, path, method, seed, minutes=minutes, device=device)
                report |= {"settings": settings, "clock": "cpu"}
                with atomic_write(target, overwrite=True) as temporary:
                    temporary.write_text(json.dumps(report, indent=2), encoding="utf-8")
                if tell is not None:
                    tell(f"{own}: {method}, seed {seed}: ACC {report['acc']:.1f}, {report['seconds']:.0f} s")
    return files


def run_per_pixel(data: str, path: Path, method: str, seed: int, *, minutes: float, device: str) -> Report:
    """Fit a per-pixel method on a data set and score it on the same images."""
    items, class_names = load_items(data, path)
    report, _ = fit_per_pixel(
        method, items, n_classes=len(class_names), seed=seed, minutes=minutes, device=device
    )
    return {
        **report,
        "data": data,
        "method": Path(method).stem,
        "seed": seed,
        "minutes": minutes,
        "n_images": len(items),
        "majority": per_pixel.majority_share(items, len(class_names)),
        "published": PUBLISHED.get((data, OURS if method.endswith(".yaml") else method)),
    }


def load_items(data: str, path: Path) -> tuple[list[LabelledImage], tuple[str, ...]]:
    """Return the labelled images of a data set, and its classes."""
    dataset = load_labelled_set(data if data in PIXEL_SETS else "folder", path)
    return [dataset[index] for index in range(len(dataset))], tuple(dataset.class_names)


def fit_per_pixel(
    method: str,
    items: Sequence[LabelledImage],
    *,
    n_classes: int,
    seed: int,
    minutes: float,
    device: str,
) -> tuple[Report, list[NDArray[np.int32]]]:
    """Fit a method on images; return acc, miou, nmi, seconds and pretrained, and its label maps.

    Rivals are given all channels, and take the protocol of the images from them.
    """
    if method == OURS or method.endswith(".yaml"):
        config = RunConfig() if method == OURS else load_config(method)
        report, maps = per_pixel.fit_and_score(
            items, config, n_classes=n_classes, seed=seed, device=device, minutes=minutes
        )
        return {**report, "pretrained": per_pixel.is_pretrained(config)}, maps
    pretrained = False
    if method == VARIATIONAL:
        from pixelcluster.variational.pixel import PixelVariationalClustering

        rival: Any = PixelVariationalClustering(n_classes, seed=seed, device=device, minutes=minutes)
    else:
        name = f"per_pixel/{method}"
        rival = load_method(name)(n_classes, seed=seed, device=device, minutes=minutes)
        pretrained = METHODS[name].regime == "pretrained"
    started = clock.now()
    rival.fit([item.image for item in items], [item.mask for item in items])
    seconds = clock.now() - started
    maps = [rival.predict(item.image) for item in items]
    figures = per_pixel.score(maps, items, n_classes, n_classes)
    return {**figures, "seconds": seconds, "pretrained": pretrained}, maps


def run_image_level(data: str, path: Path, method: str, seed: int, *, minutes: float, device: str) -> Report:
    """Fit an image-level method on training images and score it on test images."""
    images = load_image_set(data, None if data == "digits" else path)
    n_clusters = len(images.class_names)
    own = method.endswith(".yaml")
    fit = image_level.choose_method(
        OURS if own else method,
        n_clusters,
        seed=seed,
        device=device,
        minutes=minutes,
        config=Path(method) if own else None,
    )
    report = image_level.fit_and_score(fit, images, n_clusters)
    labels = images.test_labels
    majority = 0.0 if labels is None else 100 * float(np.bincount(labels).max() / len(labels))
    return {
        **report,
        "data": data,
        "method": Path(method).stem,
        "seed": seed,
        "minutes": minutes,
        "n_images": len(images.test),
        "majority": majority,
        "published": PUBLISHED.get((data, OURS if own else method)),
        "pretrained": False,
    }


def read_entries(output: Path) -> list[Entry]:
    """Return the cells of all runs in a folder, best first within a data set.

    Raises:
        PixelClusterError: a file that is no run.
    """
    cells: dict[tuple[str, str], list[Report]] = {}
    for path in sorted((output / "runs").glob("*/*.json")):
        report = _read(path)
        cells.setdefault((report["data"], report["method"]), []).append(report)
    entries = [
        Entry(
            data,
            method,
            reports[0]["pretrained"],
            tuple(own["acc"] for own in reports),
            tuple(own["seconds"] for own in reports),
            reports[0]["majority"],
            reports[0]["published"],
            reports[0]["n_images"],
            max(own["minutes"] for own in reports),
        )
        for (data, method), reports in cells.items()
    ]
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
                f"**{data}**: {entry.n_images:,} images scored, largest class {entry.majority:.1f} %",
                "",
                "| method | regime | ACC | seeds | CPU s a seed | budget, CPU min | published |",
                "|---|---|---|---|---|---|---|",
            ]
        published = "-" if entry.published is None else f"{entry.published:g}"
        lines.append(
            f"| {entry.method} | {'pretrained' if entry.pretrained else 'from scratch'} | "
            f"{np.mean(entry.acc):.1f} +- {np.std(entry.acc):.1f} | {len(entry.acc)} | "
            f"{np.mean(entry.seconds):.0f} | {entry.minutes:g} | {published} |"
        )
    return "\n".join(lines).strip() + "\n"


def _settings(method: str) -> str | None:
    """Return the text of a method's file of settings; None: it is none."""
    if not method.endswith(".yaml"):
        return None
    try:
        return Path(method).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PixelClusterError(f"{show_path(method)}: cannot be read; wanted a file of settings") from error


def _is_done(path: Path, minutes: float, settings: str | None) -> bool:
    """Return whether a run with this budget and these settings is there."""
    if not path.exists():
        return False
    report = _read(path)
    wanted = {"minutes": minutes, "settings": settings, "clock": "cpu"}
    return all(report.get(key) == value for key, value in wanted.items())


def _read(path: Path) -> Report:
    """Return a run's report."""
    try:
        report: Report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PixelClusterError(f"{show_path(path)}: is no run of a scoreboard; delete it") from error
    if not isinstance(report, dict) or not {"acc", "minutes", "data", "method"} <= set(report):
        raise PixelClusterError(f"{show_path(path)}: is no run of a scoreboard; delete it")
    return report
