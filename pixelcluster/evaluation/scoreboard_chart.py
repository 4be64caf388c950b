"""The scoreboard as a bar chart, the published figures marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.scoreboard_table import Entry

_RIVAL, _OWN, _PRETRAINED, _MARK = "#9aa5b1", "#1f6feb", "#8a63d2", "#d1242f"


def draw_chart(entries: Sequence[Entry], path: Path) -> None:
    """Write a PNG with a panel a data set: ACC, spread over seeds, published figure, largest class.

    Args:
        entries: of one or more data sets.
        path: where to write; the caller sees to atomicity.

    Raises:
        PixelClusterError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PixelClusterError("a chart needs matplotlib; pip install 'pixelcluster[plots]'") from error
    names = list(dict.fromkeys(entry.data for entry in entries))
    rows = [[entry for entry in entries if entry.data == name] for name in names]
    figure = Figure(figsize=(8, 0.7 + sum(0.7 + 0.3 * len(own) for own in rows)), layout="constrained")
    panels = figure.subplots(
        len(rows), 1, squeeze=False, gridspec_kw={"height_ratios": [1 + len(own) for own in rows]}
    )
    for axes, name, own in zip(panels[:, 0], names, rows, strict=True):
        places = np.arange(len(own))[::-1]
        colours = [_colour(entry) for entry in own]
        axes.barh(
            places,
            [float(np.mean(entry.acc)) for entry in own],
            xerr=[float(np.std(entry.acc)) for entry in own],
            color=colours,
            height=0.7,
        )
        for place, entry in zip(places, own, strict=True):
            if entry.published is not None:
                axes.plot([entry.published] * 2, [place - 0.4, place + 0.4], color=_MARK, linewidth=2)
        axes.axvline(own[0].majority, color="black", linestyle=":", linewidth=1)
        axes.set_yticks(places, [entry.method for entry in own])
        axes.set_xlim(0, 100)
        axes.set_title(name, loc="left", fontsize=10)
    panels[-1, 0].set_xlabel("ACC, %; red: published on the full data set; dotted: largest class")
    figure.savefig(path, format="png", dpi=120)


def _colour(entry: Entry) -> str:
    """Return the colour of a method: ours from scratch, ours on pretrained features, the others."""
    if not entry.ours:
        return _RIVAL
    return _PRETRAINED if entry.pretrained else _OWN
