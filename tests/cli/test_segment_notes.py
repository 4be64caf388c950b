"""What `pixelcluster segment` says of a result, where the segmentation is the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from pixelcluster.cli.main import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["segment", *map(str, arguments)])


def test_one_cluster_that_nobody_asked_for_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "gradient.png"
    gradient = np.linspace(100, 108, 640).round().astype(np.uint8)
    Image.fromarray(np.broadcast_to(gradient[None, :, None], (480, 640, 3)).copy()).save(path)
    note = f"note: {path}: one cluster found: nothing stands apart by colour or texture; -k 2 asks for two\n"
    assert run(path, "-k", "auto").stderr == note
    assert run(path, "--overwrite", "--json").stderr == ""
    assert run(path, "--overwrite", "-k", 1).stderr == ""
    assert run(path, "--overwrite", "-k", 2).stderr == ""
    Image.new("RGB", (32, 24), (50, 60, 70)).save(path)
    assert run(path, "--overwrite").stderr == ""  # there are no two to ask for
    asked = run(path, "--overwrite", "-k", 2).stderr
    assert asked.startswith("warning: ")
    assert len(asked.splitlines()) == 1
