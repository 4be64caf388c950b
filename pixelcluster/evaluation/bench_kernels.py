"""Benchmark of the kernels: a Langevin step and a Gibbs step, with floors computed from the shapes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pixelcluster.evaluation.bench_rows import KernelSize, Options, Row, median_times
from pixelcluster.model.generator import ClusteredGenerator, log_joint
from pixelcluster.model.graph import PixelGrid
from pixelcluster.model.noise import NoiseKind
from pixelcluster.model.prior import LabelPrior
from pixelcluster.sampling import gibbs, langevin
from pixelcluster.sampling.noise import Streams


def langevin_section(options: Options) -> list[Row]:
    """One Langevin step against the bare forward and backward, to z, of the same layers."""
    return [row for n_clusters in options.kernels.clusters for row in _langevin_rows(options, n_clusters)]


def _langevin_rows(options: Options, n_clusters: int) -> list[Row]:
    size = options.kernels
    generator, x, z, label_map = _setting(size, n_clusters)
    grid, cells = (size.side, size.side), size.batch * size.side**2
    target = log_joint(generator, x, label_map)
    state, streams = langevin.init(z, target), Streams(0, range(size.batch))
    ones = torch.ones(cells, size.channels)
    trunk_ones = torch.ones_like(generator.trunk(z, grid))

    def bare() -> None:
        position = z.detach().requires_grad_()
        features = generator.trunk(position, grid)
        output = features.permute(0, 2, 3, 1).flatten(0, 2) @ generator.shared.detach().T
        torch.autograd.grad(output, position, ones)

    def trunk() -> None:
        position = z.detach().requires_grad_()
        torch.autograd.grad(generator.trunk(position, grid), position, trunk_ones)

    def step() -> None:
        langevin.step(streams, state, target, step_size=1e-5)

    times = median_times(options.repeats, {"bare": bare, "trunk": trunk, "step": step})
    width = generator.trunk.width
    convolutions = 2 * 2 * 9 * width**2 * sum(cells // 4**i for i in range(3))
    floor = _floor(convolutions + 2 * width**2 * cells, 4 * cells * width * 8)
    suffix = f", K = {n_clusters}"
    both = f"trunk and output layer, forward and backward{suffix}"
    return [
        Row("langevin", f"trunk, forward and backward{suffix}", 1e3 * times["trunk"], "ms"),
        Row("langevin", both, 1e3 * times["bare"], "ms"),
        Row("langevin", f"step{suffix}", 1e3 * times["step"], "ms", note=floor),
        Row("langevin", f"step{suffix}", times["step"] / times["bare"], "x trunk and output layer", 1.3),
        Row("langevin", f"step{suffix}", times["step"] / times["trunk"], "x trunk alone", 1.3),
    ]


def gibbs_section(options: Options) -> list[Row]:
    """A whole Gibbs step (trunk, heads, prior, sampling), many clusters against few, with both noises."""
    rows = []
    size = options.kernels
    noises: tuple[NoiseKind, ...] = ("isotropic", "full")
    few, many = size.clusters
    for noise in noises:
        calls: dict[str, Callable[[], object]] = {}
        for n_clusters in size.clusters:
            calls |= _gibbs_calls(size, n_clusters, noise)
        with torch.no_grad():
            times = median_times(options.repeats, calls)
        for part in ("trunk", "heads", "sweep", "step"):
            for n_clusters in size.clusters:
                name = f"{part}, K = {n_clusters}, {noise} noise"
                floor = _gibbs_floor(size, part, n_clusters, noise)
                rows.append(Row("gibbs", name, 1e3 * times[f"{part}_{n_clusters}"], "ms", note=floor))
            limit = 2.0 if part == "step" and noise == "isotropic" else None
            ratio = times[f"{part}_{many}"] / times[f"{part}_{few}"]
            rows.append(Row("gibbs", f"{part}, K = {many}, {noise} noise", ratio, f"x K = {few}", limit))
    return rows


def _gibbs_calls(size: KernelSize, n_clusters: int, noise: NoiseKind) -> dict[str, Callable[[], object]]:
    """Return the parts of a Gibbs step and the step."""
    generator, x, z, label_map = _setting(size, n_clusters, noise)
    prior = LabelPrior(
        torch.full((n_clusters,), 1 / n_clusters),
        rows=torch.full((8, n_clusters), 1 / n_clusters),
        concentration=0.1,
        potts_weight=1.0,
    )
    grid = (size.side, size.side)
    graph, streams = PixelGrid(*grid), Streams(0, range(size.batch))
    with torch.no_grad():
        features = generator.trunk(z, grid)
        evidence = generator.evidence(x, features)

    def step() -> None:
        fresh = generator.evidence(x, generator.trunk(z, grid))
        gibbs.sweep(streams, label_map, fresh, prior, graph)

    return {
        f"trunk_{n_clusters}": lambda: generator.trunk(z, grid),
        f"heads_{n_clusters}": lambda: generator.evidence(x, features),
        f"sweep_{n_clusters}": lambda: gibbs.sweep(streams, label_map, evidence, prior, graph),
        f"step_{n_clusters}": step,
    }


def _gibbs_floor(size: KernelSize, part: str, n_clusters: int, noise: str) -> str:
    """Return the least work of a part: operations, and bytes if each tensor moves once."""
    generator, channels = ClusteredGenerator(n_clusters, size.channels), size.channels
    cells, width, inputs = size.batch * size.side**2, generator.trunk.width, generator.heads.shape[2]
    outputs = n_clusters * (inputs if noise == "isotropic" else channels)
    operations = {
        "trunk": 2 * 9 * width**2 * sum(cells // 4**i for i in range(3)),
        "heads": 2 * cells * (channels * width + outputs * (channels + inputs)),
        # Eight votes a cell; a cluster: add twice, exponential, normalise, running sum, compare, count.
        "sweep": cells * (8 + 7 * n_clusters),
    }
    memory = {
        "trunk": 4 * cells * width,
        "heads": 4 * cells * (width + channels + n_clusters),
        "sweep": 4 * cells * n_clusters + 2 * 8 * cells,
    }
    if part == "step":
        return _floor(sum(operations.values()), sum(memory.values()))
    return _floor(operations[part], memory[part])


def _setting(
    size: KernelSize, n_clusters: int, noise: NoiseKind = "isotropic"
) -> tuple[ClusteredGenerator, Tensor, Tensor, Tensor]:
    """Return a generator of the default size, targets, latents and labels."""
    random, grid = torch.Generator().manual_seed(0), (size.side, size.side)
    generator = ClusteredGenerator(n_clusters, size.channels, noise=noise)
    x = torch.randn(size.batch, size.channels, *grid, generator=random)
    z = torch.randn(size.batch, *generator.trunk.latent_shape(*grid), generator=random)
    label_map = torch.randint(n_clusters, (size.batch, *grid), generator=random)
    return generator, x.contiguous(memory_format=torch.channels_last), z, label_map


def _floor(operations: float, memory: float) -> str:
    return f"{operations / 1e9:.3f} Gop, {memory / 1e6:.1f} MB"
