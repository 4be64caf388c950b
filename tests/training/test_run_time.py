"""What a limited time is spent on."""

from __future__ import annotations

import pytest
import torch

from pixelcluster import clock
from pixelcluster.training.run import fit_model
from tests.synthetic import settings, textures


def test_a_limited_time_has_room_for_the_student(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock moves a second whenever it is looked at: neither the epochs nor the steps all fit in."""
    ticks = iter(range(100_000))
    monkeypatch.setattr(clock, "now", lambda: float(next(ticks)))
    student = {"enabled": True, "pretrained": False, "steps": 1000, "views": 1, "batch_size": 2}
    config = settings(targets={"stack": "rgb"}, student=student, training={"epochs": 1000, "batch_size": 2})
    images, _ = textures(2, side=32)
    states: list[dict[str, object]] = []
    model = fit_model(images, config, device=torch.device("cpu"), deadline=50.0, progress=states.append)
    assert next(ticks) < 80
    assert model.student is not None
    assert "student_loss" in model.history[-1]
    epochs = [state["epoch"] for state in states if "epoch" in state]
    shares = [state["share"] for state in states if state.get("phase") == "teaching the student"]
    assert 3 < epochs[-1] < 1000
    assert 0.002 < shares[-1] < 0.5
