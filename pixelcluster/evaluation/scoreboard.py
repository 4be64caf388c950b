"""Methods x data sets side by side: same images, same protocol, same CPU time, the last state of each.

One run is one method on one data set with one seed; it is kept as a JSON file, so that a scoreboard that was
stopped goes on, and one that has grown only runs what is new. A kept run counts only where all that decides
its figures is as asked for: the data's path and number of images, the budget and the settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pixelcluster import clock
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.published import OURS, PUBLISHED
from pixelcluster.evaluation.scoreboard_run import (
    Report,
    Source,
    check_methods,
    is_settings,
    open_source,
    takes,
)
from pixelcluster.evaluation.scoreboard_table import read_run
from pixelcluster.io.write import atomic_write, make_folder


class Board(NamedTuple):
    """What a call of `run_all` asked for.

    Attributes:
        files: a file each of the runs that are there.
        failures: a line each of the runs that failed.
    """

    files: list[Path]
    failures: list[str]


def run_all(
    data: Mapping[str, Path],
    methods: Sequence[str],
    seeds: Sequence[int],
    output: Path,
    *,
    minutes: float,
    device: str = "auto",
    tell: Callable[[str], None] = lambda line: None,
) -> Board:
    """Run what is not there yet; a run that fails is noted, and the next one begins.

    Args:
        data: folder or file of each data set, by name.
        methods: names, or YAML files: the clustered generator with these settings; a method that does not
            exist for a data set is left out there.
        seeds: one run each.
        output: folder; each run is written to `runs/<data>/<method>-<seed>.json`.
        minutes: budget of a fit, of CPU time: all threads together, however busy the machine is.
        device: "auto", "cpu" or "cuda".
        tell: called with a line before and after each run.

    Raises:
        PixelClusterError: before anything is fitted: a method that no data set has, two of one name, settings
            or data that are missing or wrong.
    """
    check_methods(methods, list(data))
    stems = [Path(method).stem for method in methods]
    twice = [stem for stem in stems if stems.count(stem) > 1]
    if twice:
        raise PixelClusterError(f"two methods are called {twice[0]!r}; rename a file of settings")
    texts = {method: Path(method).read_text("utf-8") if is_settings(method) else None for method in methods}
    sources = {own: open_source(own, path) for own, path in data.items()}
    board = Board([], [])
    for own, path in data.items():
        source = sources.pop(own)  # its images go with it
        folder = make_folder(output / "runs" / own)
        facts = {"data": own, "path": str(path.resolve()), "n_images": source.n_images}
        for method in methods:
            if not takes(own, method):
                continue
            for seed in seeds:
                target = folder / f"{Path(method).stem}-{seed}.json"
                identity = {
                    **facts,
                    "method": Path(method).stem,
                    "seed": seed,
                    "minutes": minutes,
                    "settings": texts[method],
                    "clock": "cpu",
                }
                line = f"{own}: {method}, seed {seed}"
                try:
                    if not (target.exists() and identity.items() <= read_run(target).items()):
                        tell(line)
                        report = _run(source, method, identity, device)
                        with atomic_write(target, overwrite=True) as temporary:
                            temporary.write_text(json.dumps(report, indent=2), encoding="utf-8")
                        tell(f"{line}: ACC {report['acc']:.1f}, {report['seconds']:.0f} s")
                except PixelClusterError as error:
                    board.failures.append(f"{line}: failed: {error}")
                    tell(board.failures[-1])
                else:
                    board.files.append(target)
    return board


def _run(source: Source, method: str, identity: Report, device: str) -> Report:
    """Return the report of a run, with what tells it from others."""
    with clock.counting_cpu():
        report = source.run(method, identity["seed"], minutes=identity["minutes"], device=device)
    ours = method == OURS or is_settings(method)
    published = PUBLISHED.get((identity["data"], OURS if ours else method))
    return {
        **report,
        **identity,
        "ours": ours,
        "majority": source.majority,
        # The papers' figures are of methods that learn from scratch.
        "published": None if report["pretrained"] else published,
    }
