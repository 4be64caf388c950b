"""The label grid: one cell for every label_stride x label_stride pixels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def to_grid(values: Tensor, stride: int) -> Tensor:
    """Average values (B, C, H, W) over label cells: (B, C, ceil(H / stride), ceil(W / stride))."""
    return functional.avg_pool2d(values, stride, ceil_mode=True) if stride > 1 else values


def grid_shape(height: int, width: int, stride: int) -> tuple[int, int]:
    """Return (h, w) of the label grid of an image of height x width pixels."""
    return -(-height // stride), -(-width // stride)


def cells_used(mask: Tensor, stride: int) -> Tensor:
    """Return (h, w) bool: cells with at least half of their pixels True in mask (H, W)."""
    used: Tensor = to_grid(mask[None, None].float(), stride)[0, 0] >= 0.5
    return used


def cell_rows(channels: Tensor, mask: Tensor | None, stride: int) -> Tensor:
    """Return channels (C, h, w) as rows (P, C) of the cells that mask (H, W) uses; None: of all."""
    rows = channels.flatten(1).T
    return rows if mask is None else rows[cells_used(mask, stride).flatten()]
