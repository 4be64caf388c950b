from __future__ import annotations

import numpy as np
import torch

from pixelcluster.segmenting.predict import label_image
from pixelcluster.segmenting.reader import Reader
from pixelcluster.training.checkpoint import load_model, save_model
from pixelcluster.training.run import fit_model
from tests.synthetic import settings, textures


def test_a_model_with_a_student_answers_in_both_modes_and_round_trips(tmp_path) -> None:
    images, _ = textures(2, side=64)
    student = {"enabled": True, "pretrained": False, "steps": 3, "views": 2}
    config = settings(student=student, training={"epochs": 2})
    model = fit_model(images, config, device=torch.device("cpu"))
    assert sum("student_loss" in entry for entry in model.history) == 1
    save_model(model, tmp_path)
    again = load_model(tmp_path, torch.device("cpu"))
    for mode in ("fast", "exact"):
        first, second = (
            label_image(Reader(one, mode, 0, torch.device("cpu")), images[0][:50])[0]
            for one in (model, again)
        )
        assert first.shape == (50, 64)
        np.testing.assert_array_equal(first, second)
