"""Speed of the kernels: medians of repeated calls, ratios within one run, floors computed from the shapes.

    python tools/bench.py                                  every section
    python tools/bench.py --section gibbs --json bench.json

A section is one function that returns rows; add it to SECTIONS. The Markdown table goes to standard output.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import torch
from torch import Tensor

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.write import atomic_write, check_writable
from pixelcluster.model.generator import ClusteredGenerator, log_joint
from pixelcluster.model.graph import PixelGrid
from pixelcluster.model.noise import NoiseKind
from pixelcluster.model.prior import LabelPrior
from pixelcluster.sampling import gibbs, langevin
from pixelcluster.sampling.noise import Streams

BATCH, CHANNELS, SIDE = 8, 64, 64
CLUSTERS = (3, 27)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        section: the section it belongs to.
        name: what was timed.
        milliseconds: median of the repeats.
        ratio: to the row named in `against`, None for a reference.
        against: the reference of the ratio.
        limit: largest ratio wanted.
        floor: operations and bytes the shapes ask for.
    """

    section: str
    name: str
    milliseconds: float
    ratio: float | None = None
    against: str = ""
    limit: float | None = None
    floor: str = ""


def median_times(repeats: int, **calls: Callable[[], object]) -> dict[str, float]:
    """Return the median milliseconds of each call; they take turns, so a busy machine slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if repeat:  # the first one warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: 1000 * statistics.median(values) for name, values in seconds.items()}


def langevin_section(repeats: int) -> list[Row]:
    """One Langevin step against the bare forward and backward, to z, of the same layers."""
    rows = []
    for n_clusters in CLUSTERS:
        generator, x, z, label_map = _setting(n_clusters)
        target = log_joint(generator, x, label_map)
        state, streams = langevin.init(z, target), Streams(0, range(BATCH))
        ones = torch.ones(BATCH * SIDE * SIDE, CHANNELS)
        trunk_ones = generator.trunk(z, (SIDE, SIDE)).detach().fill_(1.0)

        def bare(generator: ClusteredGenerator = generator, z: Tensor = z, ones: Tensor = ones) -> None:
            position = z.detach().requires_grad_()
            features = generator.trunk(position, (SIDE, SIDE))
            output = features.permute(0, 2, 3, 1).flatten(0, 2) @ generator.shared.detach().T
            torch.autograd.grad(output, position, ones)

        def trunk(
            generator: ClusteredGenerator = generator, z: Tensor = z, ones: Tensor = trunk_ones
        ) -> None:
            position = z.detach().requires_grad_()
            torch.autograd.grad(generator.trunk(position, (SIDE, SIDE)), position, ones)

        def step(
            state: langevin.LangevinState = state,
            streams: Streams = streams,
            target: langevin.LogProb = target,
        ) -> None:
            langevin.step(streams, state, target, step_size=1e-5)

        times = median_times(repeats, bare=bare, trunk=trunk, step=step)
        width, cells = generator.trunk.width, BATCH * SIDE * SIDE
        convolutions = 2 * 2 * 9 * width**2 * sum(cells // 4**i for i in range(3))
        floor = _floor(convolutions + 2 * width**2 * cells, 4 * cells * width * 8)
        suffix = f", K = {n_clusters}"
        rows += [
            Row("langevin", f"trunk, forward and backward{suffix}", times["trunk"]),
            Row("langevin", f"trunk and output layer, forward and backward{suffix}", times["bare"]),
            Row(
                "langevin",
                f"step{suffix}",
                times["step"],
                times["step"] / times["bare"],
                "trunk and output",
                1.3,
                floor,
            ),
            Row(
                "langevin", f"step{suffix}", times["step"], times["step"] / times["trunk"], "trunk alone", 1.3
            ),
        ]
    return rows


def gibbs_section(repeats: int) -> list[Row]:
    """A whole Gibbs step for 27 clusters against one for 3: trunk, heads, prior, sampling; both noises."""
    rows = []
    noises: tuple[NoiseKind, ...] = ("isotropic", "full")
    for noise in noises:
        calls: dict[str, Callable[[], object]] = {}
        for n_clusters in CLUSTERS:
            calls |= _gibbs_calls(n_clusters, noise)
        with torch.no_grad():
            times = median_times(repeats, **calls)
        for n_clusters in CLUSTERS:
            for part in ("trunk", "heads", "sweep", "step"):
                key = f"{part}_{n_clusters}"
                whole = part == "step" and n_clusters == CLUSTERS[-1]
                rows.append(
                    Row(
                        "gibbs",
                        f"{part}, K = {n_clusters}, {noise} noise",
                        times[key],
                        times[key] / times[f"{part}_{CLUSTERS[0]}"] if n_clusters != CLUSTERS[0] else None,
                        f"K = {CLUSTERS[0]}" if n_clusters != CLUSTERS[0] else "",
                        2.0 if whole and noise == "isotropic" else None,
                        _gibbs_floor(part, n_clusters, noise),
                    )
                )
    return rows


def _gibbs_calls(n_clusters: int, noise: NoiseKind) -> dict[str, Callable[[], object]]:
    """Return the parts of a Gibbs step and the step."""
    generator, x, z, label_map = _setting(n_clusters, noise)
    prior = LabelPrior(
        torch.full((n_clusters,), 1 / n_clusters),
        rows=torch.full((8, n_clusters), 1 / n_clusters),
        concentration=0.1,
        potts_weight=1.0,
    )
    graph, streams = PixelGrid(SIDE, SIDE), Streams(0, range(BATCH))
    with torch.no_grad():
        features = generator.trunk(z, (SIDE, SIDE))
        evidence = generator.evidence(x, features)

    def step() -> None:
        fresh = generator.evidence(x, generator.trunk(z, (SIDE, SIDE)))
        gibbs.sweep(streams, label_map, fresh, prior, graph)

    return {
        f"trunk_{n_clusters}": lambda: generator.trunk(z, (SIDE, SIDE)),
        f"heads_{n_clusters}": lambda: generator.evidence(x, features),
        f"sweep_{n_clusters}": lambda: gibbs.sweep(streams, label_map, evidence, prior, graph),
        f"step_{n_clusters}": step,
    }


def _gibbs_floor(part: str, n_clusters: int, noise: str) -> str:
    """Return the least work of a part: operations, and bytes if each tensor moves once."""
    generator = ClusteredGenerator(n_clusters, CHANNELS)
    cells, width, inputs = BATCH * SIDE * SIDE, generator.trunk.width, generator.heads.shape[2]
    outputs = n_clusters * (inputs if noise == "isotropic" else CHANNELS)
    operations = {
        "trunk": 2 * 9 * width**2 * sum(cells // 4**i for i in range(3)),
        "heads": 2 * cells * (CHANNELS * width + outputs * (CHANNELS + inputs)),
        # Eight votes a cell; a cluster: add twice, exponential, normalise, running sum, compare, count.
        "sweep": cells * (8 + 7 * n_clusters),
    }
    memory = {
        "trunk": 4 * cells * width,
        "heads": 4 * cells * (width + CHANNELS + n_clusters),
        "sweep": 4 * cells * n_clusters + 2 * 8 * cells,
    }
    if part == "step":
        return _floor(sum(operations.values()), sum(memory.values()))
    return _floor(operations[part], memory[part])


def _setting(
    n_clusters: int, noise: NoiseKind = "isotropic"
) -> tuple[ClusteredGenerator, Tensor, Tensor, Tensor]:
    """Return a generator of the default size, targets, latents and labels."""
    random = torch.Generator().manual_seed(0)
    generator = ClusteredGenerator(n_clusters, CHANNELS, noise=noise)
    x = torch.randn(BATCH, CHANNELS, SIDE, SIDE, generator=random)
    z = torch.randn(BATCH, *generator.trunk.latent_shape(SIDE, SIDE), generator=random)
    label_map = torch.randint(n_clusters, (BATCH, SIDE, SIDE), generator=random)
    return generator, x.contiguous(memory_format=torch.channels_last), z, label_map


def _floor(operations: float, memory: float) -> str:
    return f"{operations / 1e9:.3f} Gop, {memory / 1e6:.1f} MB"


SECTIONS: dict[str, Callable[[int], list[Row]]] = {"langevin": langevin_section, "gibbs": gibbs_section}


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| section | what | ms | ratio | limit | floor |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} x {row.against}"
        limit = "" if row.limit is None else f"{row.limit:.1f}"
        cells = [row.section, row.name, f"{row.milliseconds:.2f}", ratio, limit, row.floor]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@click.command(context_settings={"max_content_width": 110})
@click.option("--section", "names", type=click.Choice(list(SECTIONS)), multiple=True, help="Default: all.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="JSON file to write.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of torch.")
@click.option(
    "--repeats", type=click.IntRange(min=1), default=15, show_default=True, help="Timed calls a row."
)
def main(names: tuple[str, ...], json_path: Path | None, threads: int, repeats: int) -> None:
    """Time the kernels; print a Markdown table of medians, ratios in this run and floors."""
    torch.set_num_threads(threads)
    rows = [row for name in names or SECTIONS for row in SECTIONS[name](repeats)]
    click.echo(
        f"{platform.machine()}, torch {torch.__version__}, {threads} threads, {repeats} repeats; "
        f"B = {BATCH}, D = {CHANNELS}, label grid {SIDE} x {SIDE}\n"
    )
    click.echo(table(rows))
    if json_path is None:
        return
    try:
        check_writable(json_path, overwrite=True)
        with atomic_write(json_path, overwrite=True) as temporary:
            report = {"threads": threads, "repeats": repeats, "rows": [asdict(row) for row in rows]}
            temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except PixelClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
