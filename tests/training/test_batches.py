from __future__ import annotations

from pixelcluster.training.batches import mini_batches

SHAPES = [(12, 16)] * 5 + [(8, 8)] * 3


def test_batches_hold_every_image_once_and_one_size_each() -> None:
    first, second = ([*mini_batches(SHAPES, 4, 0, epoch)] for epoch in (0, 1))
    assert sorted(index for batch in first for index in batch) == [*range(8)]
    assert all(len(batch) <= 4 for batch in first)
    assert all(len({SHAPES[index] for index in batch}) == 1 for batch in first)
    assert len(first) == len(second) == 3
    assert first != second
    assert first == [*mini_batches(SHAPES, 4, 0, 0)]
    assert first != [*mini_batches(SHAPES, 4, 1, 0)]
