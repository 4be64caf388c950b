"""The fast mode as a `torch.export` program (.pt2), which torch alone reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pixelcluster.deploy.network import FastNetwork, Run, trace

_FACTS = "pixelcluster.json"


def write(network: FastNetwork, facts: dict[str, str], path: Path) -> None:
    """Write a network into a file, with the facts as `pixelcluster.json` among the extra files."""
    with path.open("wb") as file:
        torch.export.save(trace(network), file, extra_files={_FACTS: json.dumps(facts)})


def read(path: Path) -> tuple[Run, dict[str, str]]:
    """Return a file's graph, ready to run, and the facts in the file."""
    extra = {_FACTS: ""}
    with path.open("rb") as file:
        module = torch.export.load(file, extra_files=extra).module()

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            logs: NDArray[np.float32] = module(torch.from_numpy(image)).numpy()
        return logs

    return run, json.loads(extra[_FACTS])
