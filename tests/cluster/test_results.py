from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelcluster.cluster import sheets as sheets_module
from pixelcluster.cluster.estimator import ImageCluster
from pixelcluster.cluster.results import Clustering, log_margins, write_results
from pixelcluster.cluster.sheets import cluster_sheet


def test_margins_tell_apart_what_probabilities_do_not() -> None:
    evidence = torch.tensor(
        [[0.0, -60.0, -70.0], [-20.0, 0.0, -40.0], [0.0, -1.0, -9.0], [0.0, -500.0, -600.0]]
    )
    probabilities = evidence.softmax(1).numpy()
    assert (probabilities.max(1)[[0, 1, 3]] == 1).all()
    margins = log_margins(probabilities)
    assert margins[:3] == pytest.approx([60, 20, 1], rel=1e-5)
    assert 80 < margins[3] < 110  # the second best is 0 here
    assert (log_margins(np.ones((2, 1), np.float32)) > 80).all()


def test_a_sheet_ends_with_the_least_certain_though_all_round_to_one() -> None:
    """Three images, each of one grey level, which is read back from where it stands."""
    images = torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None, None].expand(3, 1, 8, 8)
    probabilities = torch.tensor([[0.0, -30.0], [0.0, -60.0], [0.0, -20.0]]).softmax(1).numpy()
    assert (probabilities[:, 0] == 1).all()
    sheet = cluster_sheet(images, probabilities, np.zeros(3, np.float32), 0)
    assert sheet is not None
    assert [sheet.getpixel((4 + 20 * place, 4)) for place in range(3)] == [20, 10, 30]
    assert cluster_sheet(images, probabilities, np.zeros(3, np.float32), 1) is None


def test_sheets_of_clusters_that_are_no_more_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = ImageCluster(1)
    estimator.model_ = None
    monkeypatch.setattr(sheets_module, "shared_grid", lambda *arguments, **options: Image.new("L", (2, 2)))
    images = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)

    def write(clusters: list[int], n_clusters: int) -> list[str]:
        labels = np.array(clusters)
        probabilities = np.eye(n_clusters, dtype=np.float32)[labels]
        found = Clustering([*"abcdef"], labels, probabilities, np.zeros((6, 2), np.float32), [])
        write_results(found, images, estimator, tmp_path, overwrite=True)
        return sorted(path.name for path in (tmp_path / "sheets").iterdir())

    assert write([0, 1, 2, 3, 4, 5], 101)[:6] == [f"cluster_{cluster:02d}.png" for cluster in range(6)]
    (tmp_path / "sheets" / "cluster_100.png").write_bytes(b"of 101 clusters")
    (tmp_path / "sheets" / "cluster_01_mine.png").write_bytes(b"somebody else's")
    assert write([0, 0, 2, 2, 2, 2], 3) == ["cluster_00.png", "cluster_01_mine.png", "cluster_02.png"]
