"""metrics.jsonl of a model folder: what its training measured, one JSON object per line."""

from __future__ import annotations

import json
from pathlib import Path

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import file_size

METRICS = "metrics.jsonl"


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
