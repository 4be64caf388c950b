from __future__ import annotations

from fractions import Fraction

import torch
from timm.layers import Conv2dSame
from torch import nn

from pixelcluster.deploy.network import FastNetwork, _fix_padding, input_cells
from tests.deploy.models import untrained


def test_input_cells_round_as_python_does() -> None:
    for scale in (Fraction(1), Fraction(3, 2), Fraction(2), Fraction(1, 3)):
        for side in range(2, 700):
            assert input_cells(side, scale) == max(2, round(side * scale / 32)), (side, scale)


def test_fixed_padding_is_that_of_timm_at_multiples_of_the_stride() -> None:
    torch.manual_seed(0)
    for kernel, stride, dilation in ((3, 2, 1), (5, 2, 1), ((3, 5), (2, 4), (1, 2)), (3, 1, 2), (1, 2, 1)):
        own = nn.Sequential(Conv2dSame(4, 6, kernel, stride=stride, dilation=dilation, groups=2))
        values = torch.randn(2, 4, 32, 64)
        wanted = own(values)
        _fix_padding(own)
        torch.testing.assert_close(own(values), wanted)


def test_the_network_is_the_fast_mode_with_merged_clusters_and_leaves_the_student_alone() -> None:
    model = untrained(merged={2: 0})
    assert model.student is not None
    images = torch.rand(1, 3, 83, 70, generator=torch.Generator().manual_seed(1))
    network = FastNetwork(model.student, {2: 0}).eval()
    with torch.no_grad():
        plain = model.student(images).softmax(1)
        merged = network(images).exp()
    torch.testing.assert_close(merged[:, 0], plain[:, 0] + plain[:, 2])
    torch.testing.assert_close(merged[:, 1], plain[:, 1])
    assert merged[:, 2].max() < 1e-30
    assert any(parameter.requires_grad for parameter in model.student.parameters())
