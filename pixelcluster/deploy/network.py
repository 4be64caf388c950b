"""The fast mode of a trained model as one network that exporters can trace, for images of any size."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional

from pixelcluster import __version__
from pixelcluster.errors import PixelClusterError
from pixelcluster.segmenting.predict import merged_log_probabilities
from pixelcluster.training.model import TrainedModel
from pixelcluster.training.student import MULTIPLE, Student

INPUT, OUTPUT = "image", "log_probabilities"
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""An exported graph: image (1, 3, H, W) -> log-probabilities (1, K, H, W)."""

_EXAMPLE = (171, 250)
"""Traced with; any sides that are neither alike nor multiples of anything in the network."""


class FastNetwork(nn.Module):
    """What `segmenting.predict` computes in fast mode for one image at the working size, merges included.

    Args:
        student: copied, so that it stays as it is.
        merged: id -> the id that takes its pixels.
    """

    def __init__(self, student: Student, merged: Mapping[int, int]) -> None:
        super().__init__()
        self.student = copy.deepcopy(student).cpu().eval().requires_grad_(False)
        _fix_padding(self.student)
        self.merged = dict(merged)
        self.scale = Fraction(student.input_scale).limit_denominator(1000)

    def forward(self, image: Tensor) -> Tensor:
        """Return log p(y = k | image), (1, K, H, W), of an RGB image (1, 3, H, W) in [0, 1]."""
        size = []
        for side in image.shape[2:]:
            n_cells = cast(
                "int", torch.scalar_tensor(input_cells(side, self.scale), dtype=torch.int64).item()
            )
            # A number the tracer knows nothing of but this keeps the sizes in the encoder multiples of it;
            # otherwise they are formulas of the image's sides, and tracing takes minutes.
            torch._check(n_cells >= 2)
            size.append(MULTIPLE * n_cells)
        logs = self.student(image, size).log_softmax(1)
        return merged_log_probabilities(logs[0], self.merged)[None]


def input_cells(side: int, scale: Fraction) -> int:
    """Return max(2, round(side * scale / 32)), ties to the even number, in whole numbers alone.

    Args:
        side: of the image, pixels; a symbol while tracing.
        scale: factor the image is enlarged by.
    """
    above, below = side * scale.numerator, MULTIPLE * scale.denominator
    return cast("int", torch.sym_max(2, (2 * above + below - 1 + (above // below) % 2) // (2 * below)))


def fast_network(model: TrainedModel) -> FastNetwork:
    """Return the network of a model.

    Raises:
        PixelClusterError: the model has no student.
    """
    if model.student is None:
        raise PixelClusterError(
            "the model has no student network, and chains cannot be exported; train with student.enabled true"
        )
    return FastNetwork(model.student, model.config.clusters.merged).eval()


def trace(network: FastNetwork) -> ExportedProgram:
    """Return the graph of a network, for any height and width from 2 pixels up.

    Raises:
        PixelClusterError: an encoder whose operations cannot be traced for any size.
    """
    sides = {2: Dim("height", min=2), 3: Dim("width", min=2)}
    try:
        return torch.export.export(
            network, (torch.zeros(1, 3, *_EXAMPLE),), dynamic_shapes={INPUT: sides}, strict=False
        )
    except RuntimeError as error:  # the base of all refusals of the tracer
        reason = " ".join(str(error).split())[:200]
        raise PixelClusterError(
            f"the student's encoder cannot be exported ({reason}); train with another student.encoder"
        ) from error


def facts(model: TrainedModel) -> dict[str, str]:
    """Return what goes into a file beside the graph; lists and mappings as JSON."""
    config, n_clusters = model.config, model.generator.n_clusters
    return {
        "producer": f"pixelcluster {__version__}",
        "n_clusters": str(n_clusters),
        "names": json.dumps(config.clusters.listed(n_clusters), ensure_ascii=False),
        "merged": json.dumps(config.clusters.merged),
        "image_side": json.dumps(config.targets.image_side),
    }


class _FixedPadding(nn.Module):
    """A convolution padded as TensorFlow does, for sides that are multiples of its stride.

    timm works the padding out from each input's size; at multiples of the stride it is always the same.
    """

    def __init__(self, convolution: Conv2dSame) -> None:
        super().__init__()
        self.convolution = convolution
        pads: list[int] = []
        for axis in (1, 0):  # functional.pad wants the last axis first
            extent = (convolution.kernel_size[axis] - 1) * convolution.dilation[axis] + 1
            total = max(extent - convolution.stride[axis], 0)
            pads += [total // 2, total - total // 2]
        self.pads = pads

    def forward(self, values: Tensor) -> Tensor:
        """Return what the convolution gives."""
        own = self.convolution
        padded = functional.pad(values, self.pads)
        return functional.conv2d(padded, own.weight, own.bias, own.stride, 0, own.dilation, own.groups)


def _fix_padding(module: nn.Module) -> None:
    """Put `_FixedPadding` in the place of timm's convolutions, at any depth."""
    for name, child in module.named_children():
        if isinstance(child, Conv2dSame):
            setattr(module, name, _FixedPadding(child))
        else:
            _fix_padding(child)
