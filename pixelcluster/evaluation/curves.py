"""ACC against the number of Langevin steps: figure 3 of Zhu et al., 2019."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelcluster.errors import PixelClusterError
from pixelcluster.io.write import atomic_write


def draw_steps(points: Sequence[tuple[int, float]], path: Path) -> None:
    """Write a PNG: a point a fit, a line through the means, numbers of steps equally far apart.

    Args:
        points: (Langevin steps, ACC in percent) of each fit.
        path: replaced if there.

    Raises:
        PixelClusterError: fewer than two numbers of steps, or matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PixelClusterError("a chart needs matplotlib; pip install 'pixelcluster[plots]'") from error
    steps = sorted({count for count, _ in points})
    if len(steps) < 2:
        raise PixelClusterError(f"a curve needs 2 numbers of Langevin steps, got {len(steps)}; add another")
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    means = [float(np.mean([acc for own, acc in points if own == count])) for count in steps]
    axes.plot(range(len(steps)), means, color="#1f6feb")
    axes.plot([steps.index(count) for count, _ in points], [acc for _, acc in points], "k.")
    axes.set_xticks(range(len(steps)), [str(count) for count in steps])
    axes.set_xlabel("Langevin steps a visit")
    axes.set_ylabel("ACC, %")
    with atomic_write(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
