from __future__ import annotations

import pytest
import torch
from torch import nn

from pixelcluster.segmenting import blend
from pixelcluster.segmenting.blend import blended_rows, grown_rows


@pytest.mark.parametrize("cuts", [[9], [1] * 9, [4, 5], [2, 6, 1]])
def test_strips_are_the_bilinear_growth_of_the_whole(monkeypatch, cuts) -> None:
    logs = torch.randn(3, 9, 13, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(blend, "_STRIP_PIXELS", 5 * 61)
    strips = [*grown_rows(logs.split(cuts, 1), 9, 40, 61)]
    assert max(rows.stop - rows.start for rows, _ in strips) == 5
    wanted = nn.functional.interpolate(logs[None], size=(40, 61), mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(torch.cat([values for _, values in strips], 1), wanted, atol=1e-4, rtol=1e-4)


def test_two_tiles_fade_into_each_other() -> None:
    """Tiles that answer 0 and 1: outside the overlap each stands alone, inside the weight moves linearly."""

    def answer(rows, columns):
        return torch.full((1, rows.stop - rows.start, columns.stop - columns.start), float(columns.start > 0))

    field = torch.cat([*blended_rows(1, 14, answer, stride=1, tile=8, overlap=3)], 1)[0, 0]
    assert field[:5].eq(0).all()
    assert field[10:].eq(1).all()
    torch.testing.assert_close(field[5:8], torch.tensor([1 / 4, 2 / 4, 3 / 4]))


def test_only_one_row_of_tiles_is_held() -> None:
    asked = []

    def answer(rows, columns):
        asked.append(rows.start)
        return torch.zeros(2, rows.stop - rows.start, columns.stop - columns.start)

    strips = blended_rows(100, 20, answer, stride=1, tile=10, overlap=2)
    assert next(strips).shape == (2, 8, 20)
    assert set(asked) == {0}
    assert sum(strip.shape[1] for strip in strips) == 92
