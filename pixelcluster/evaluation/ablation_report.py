"""An ablation as JSON, as a Markdown table and, for the Langevin steps, as points of a curve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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


def langevin_points(results: Sequence[VariantResult]) -> list[tuple[int, float]]:
    """Return (Langevin steps, ACC in percent) of each fit of the variants named langevin-N."""
    return [
        (int(result.variant.name.removeprefix("langevin-")), acc)
        for result in results
        if result.variant.group == "langevin"
        for acc in result.acc.values()
    ]


def _by_seed(values: dict[int, float] | dict[int, str]) -> dict[str, float | str]:
    return {str(seed): value for seed, value in values.items()}
