from __future__ import annotations

import numpy as np
import pytest
import torch

from pixelcluster.cluster.results import log_margins
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
