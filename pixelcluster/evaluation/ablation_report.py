"""An ablation as JSON, as a Markdown table and, for the Langevin steps, as a curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.ablation import VariantResult

Summary = dict[str, object]


def summarise(results: Sequence[VariantResult]) -> list[Summary]:
    """Return a mapping a variant: figures over its seeds, and what was changed.

    Args:
        results: the full model first; its mean over the same seeds is what `difference` is taken from.
    """
    full = results[0].acc
    summaries: list[Summary] = []
    for result in results:
        values = np.array(list(result.acc.values()))
        paired = [value - full[seed] for seed, value in result.acc.items() if seed in full]
        summaries.append(
            {
                "name": result.variant.name,
                "group": result.variant.group,
                "changes": dict(result.variant.changes),
                "mode": result.variant.mode,
                "acc": float(values.mean()) if len(values) else None,
                "acc_std": float(values.std()) if len(values) else None,
                "difference": float(np.mean(paired)) if paired else None,
                "miou": float(np.mean(list(result.miou.values()))) if len(values) else None,
                "acc_per_seed": _by_seed(result.acc),
                "seconds_per_seed": _by_seed(result.seconds),
                "errors": _by_seed(result.error),
            }
        )
    return summaries


def markdown_table(results: Sequence[VariantResult]) -> str:
    """Return one row a variant: ACC mean +- standard deviation over seeds, difference to full, seconds."""
    lines = ["| variant | ACC | to full | s a seed |", "|---|---|---|---|"]
    for result, own in zip(results, summarise(results), strict=True):
        if own["acc"] is None:
            reason = next(iter(result.error.values()), "not run")
            lines.append(f"| {own['name']} | {reason} | | |")
            continue
        difference = "" if own["difference"] is None else f"{own['difference']:+.1f}"
        seconds = np.mean(list(result.seconds.values()))
        name = own["name"] if not result.error else f"{own['name']} ({len(result.error)} seeds failed)"
        lines.append(f"| {name} | {own['acc']:.1f} +- {own['acc_std']:.1f} | {difference} | {seconds:.0f} |")
    return "\n".join(lines) + "\n"


def langevin_curve(results: Sequence[VariantResult], *, width: int = 420, height: int = 280) -> Image.Image:
    """Draw ACC against Langevin steps, steps equally far apart, with bars of one standard deviation.

    Args:
        results: those named langevin-N are drawn.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Raises:
        PixelClusterError: fewer than two such results.
    """
    scored = [result for result in results if result.variant.group == "langevin" and result.acc]
    if len(scored) < 2:
        raise PixelClusterError(
            f"a curve needs 2 numbers of Langevin steps, got {len(scored)}; add --variants langevin"
        )
    means = np.array([np.mean(list(result.acc.values())) for result in scored])
    spreads = np.array([np.std(list(result.acc.values())) for result in scored])
    low, high = np.floor((means - spreads).min() - 1), np.ceil((means + spreads).max() + 1)
    left, right, top, bottom = 56, width - 20, 20, height - 46
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)

    def row(acc: float) -> float:
        return float(bottom - (acc - low) / (high - low) * (bottom - top))

    for acc in np.linspace(low, high, 5):
        draw.line([(left, row(acc)), (right, row(acc))], fill="#dddddd")
        draw.text((left - 8, row(acc)), f"{acc:.1f}", fill="black", anchor="rm")
    columns = np.linspace(left + 20, right - 20, len(scored)).tolist()
    draw.line(list(zip(columns, map(row, means), strict=True)), fill="#1f5fa8", width=2)
    for x, mean, spread, result in zip(columns, means, spreads, scored, strict=True):
        draw.line([(x, row(mean - spread)), (x, row(mean + spread))], fill="#1f5fa8")
        draw.ellipse([x - 3, row(mean) - 3, x + 3, row(mean) + 3], fill="#1f5fa8")
        steps = result.variant.name.removeprefix("langevin-")
        draw.text((x, bottom + 6), steps, fill="black", anchor="mt")
    draw.text(((left + right) / 2, height - 8), "Langevin steps a visit", fill="black", anchor="mb")
    draw.text((8, 4), "ACC, %", fill="black")
    return picture


def _by_seed(values: dict[int, float] | dict[int, str]) -> dict[str, float | str]:
    return {str(seed): value for seed, value in values.items()}
