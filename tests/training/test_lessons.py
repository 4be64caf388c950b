from __future__ import annotations

import numpy as np
import torch

from pixelcluster import clock
from pixelcluster.config import StudentSettings
from pixelcluster.training.lessons import Lessons
from pixelcluster.training.student import Student


def test_the_student_learns_what_the_chains_say() -> None:
    """Halves of two colours in either order; the targets of masked pixels are 0."""
    options = StudentSettings(pretrained=False, steps=30, views=2, batch_size=4, learning_rate=5e-3)
    images, targets = [], []
    for turn in range(4):
        label = np.zeros((64, 64), dtype=np.int64)
        label[:, 32:] = 1
        label = label ^ (turn % 2)
        colour = np.array([(0.8, 0.2, 0.2), (0.1, 0.3, 0.8)], dtype=np.float32)[label]
        noise = np.random.default_rng(turn).normal(0, 0.05, colour.shape)
        images.append((colour + noise).clip(0, 1).astype(np.float32))
        target = np.eye(2, dtype=np.float32)[label]
        target[:8] = 0
        targets.append(target)
    student = Student(2, options, seed=1)
    same = Student(2, options, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(student.parameters(), same.parameters(), strict=True))
    steps = []
    lessons = Lessons(student, options, seed=0, device=torch.device("cpu"))
    loss = lessons.run(images, targets.__getitem__, progress=steps.append)
    assert loss < 0.5 * np.log(2)
    assert steps == [0] * 8 + [1] * 30  # two views of four images, then the steps
    assert not student.training
    with torch.no_grad():
        logits = student(torch.from_numpy(images[1][:50, :61]).permute(2, 0, 1)[None])
    assert logits.shape == (1, 2, 50, 61)
    found = logits.argmax(1)[0].numpy()
    assert (found == targets[1][10].argmax(1)[:61]).mean() > 0.8


def test_the_learning_rate_falls_before_the_time_is_up(monkeypatch) -> None:
    """The clock moves a second whenever it is looked at: far fewer steps than wanted fit in."""
    now = iter(range(10_000))
    monkeypatch.setattr(clock, "now", lambda: float(next(now)))
    options = StudentSettings(pretrained=False, steps=10_000, views=1, batch_size=1, learning_rate=1e-3)
    lessons = Lessons(Student(2, options), options, seed=0, device=torch.device("cpu"))
    rates = []
    image, target = np.zeros((32, 32, 3), np.float32), np.full((32, 32, 2), 0.5, np.float32)
    lessons.run(
        [image],
        lambda index: target,
        deadline=60.0,
        progress=lambda steps: rates.append(lessons.optimiser.param_groups[0]["lr"]),
    )
    assert 10 < lessons.steps < 40
    assert max(rates) > 0.9e-3
    assert rates[-1] < 0.05e-3
