"""metrics.jsonl of a model folder: what its training measured, one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import file_size

METRICS = "metrics.jsonl"
AGREEMENT = "student_agreement"
"""What `train` adds to the last entry: the share of the pixels of its sample images that the student and the
chains give one label; where there is no student it is not measured."""
_LEAST_AGREEMENT = 0.7


def read_metrics(folder: Path) -> list[dict[str, object]]:
    """Return the entries of a model's metrics.jsonl; none where there is no such file, which no model needs.

    Raises:
        PixelClusterError: the file cannot be read, or holds something else.
    """
    path = folder / METRICS
    if not path.exists():
        return []
    file_size(path)  # a pipe would be waited for
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("a line is no JSON object")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise PixelClusterError(f"{show_path(path)}: cannot be read ({reason}); delete it") from error
    return entries


def dump_metrics(history: Sequence[Mapping[str, object]]) -> str:
    """Return entries as the text of a metrics.jsonl."""
    return "".join(json.dumps(entry) + "\n" for entry in history)


def student_agreement(history: Sequence[Mapping[str, object]]) -> float | None:
    """Return the share of pixels of `AGREEMENT`, from 0 to 1; None where it was not measured."""
    share = history[-1].get(AGREEMENT) if history else None
    return float(share) if isinstance(share, (int, float)) else None


def about_student(share: float) -> str:
    """Say how far a student agrees with the chains, from a share of pixels."""
    return f"the student agrees with the chains on {100 * share:.0f} % of the pixels of the sample images"


def doubt_of_student(history: Sequence[Mapping[str, object]]) -> str | None:
    """Return a warning where the student agrees with the chains on less than 0.7 of the pixels, else None."""
    share = student_agreement(history)
    if share is None or share >= _LEAST_AGREEMENT:
        return None
    return f"{about_student(share)}; train longer, or use --mode exact"
