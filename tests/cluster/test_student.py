"""The student knows images in positions that it was never given."""

from __future__ import annotations

import torch
from torch.nn import functional

from pixelcluster.cluster.student import fit_student, random_views
from pixelcluster.cluster.to_tensor import from_array
from tests.cluster.conftest import SIDE, planted


@torch.no_grad()
def test_the_student_ignores_what_views_change() -> None:
    """Taught on the images as they are, it is right of three in four views."""
    pixels, shapes = planted(30)
    images, labels = from_array(pixels, SIDE), torch.from_numpy(shapes)
    probabilities = functional.one_hot(labels).float()
    with torch.enable_grad():
        student = fit_student(images, probabilities, 40, seed=0, device=torch.device("cpu"))
    assert student is not None
    views = random_views(images.float().repeat(5, 1, 1, 1) / 255, torch.Generator().manual_seed(1))
    right = student(views).argmax(1) == labels.repeat(5)
    assert right.float().mean() > 0.9
