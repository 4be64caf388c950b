"""Tiles of any size over images of any size: nothing is lost, nothing is shifted."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelcluster.segmenting.blend import blended_rows, grown_rows


@settings(max_examples=150, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    stride=st.integers(1, 5),
    cells=st.integers(2, 6),
    shared=st.integers(0, 5),
)
def test_tiles_of_a_field_give_the_field(
    height: int, width: int, stride: int, cells: int, shared: int
) -> None:
    tile, overlap = cells * stride, min(shared, cells - 1) * stride
    grid = (-(-height // stride), -(-width // stride))
    field = torch.arange(2.0 * grid[0] * grid[1]).view(2, *grid)

    def predict(rows: slice, columns: slice) -> torch.Tensor:
        assert rows.start % stride == columns.start % stride == 0
        assert 0 < rows.stop - rows.start <= tile
        assert rows.stop <= height
        assert columns.stop <= width
        return field[
            :,
            rows.start // stride : -(-rows.stop // stride),
            columns.start // stride : -(-columns.stop // stride),
        ]

    strips = [*blended_rows(height, width, predict, stride=stride, tile=tile, overlap=overlap)]
    torch.testing.assert_close(torch.cat(strips, 1), field)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), n_rows=st.integers(1, 9), height=st.integers(1, 40), width=st.integers(1, 20))
def test_strips_grow_to_every_pixel_once(data: st.DataObject, n_rows: int, height: int, width: int) -> None:
    field = torch.randn(2, n_rows, 5, generator=torch.Generator().manual_seed(n_rows))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(n_rows - 1, 1)), max_size=3))) if n_rows > 1 else []
    strips = [field[:, a:b] for a, b in zip([0, *cuts], [*cuts, n_rows], strict=True)]
    covered = torch.zeros(height, dtype=torch.int64)
    for rows, values in grown_rows(strips, n_rows, height, width):
        covered[rows] += 1
        assert values.shape == (2, rows.stop - rows.start, width)
        assert (
            float(field.min()) - 1e-4
            <= float(values.min())
            <= float(values.max())
            <= float(field.max()) + 1e-4
        )
    assert (covered == 1).all()
