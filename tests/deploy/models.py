"""A model whose parts are all random, so that nothing has to be fitted."""

from __future__ import annotations

import torch

from pixelcluster.model.prior import LabelPrior
from pixelcluster.targets.stack import build_stack
from pixelcluster.training.build import make_generator
from pixelcluster.training.model import TrainedModel
from pixelcluster.training.student import Student
from tests.synthetic import settings


def untrained(
    *, student: bool = True, input_scale: float = 1.0, merged: dict[int, int] | None = None
) -> TrainedModel:
    """Return a model of 3 clusters whose student answers by colour as much as random weights do."""
    own = {"enabled": student, "pretrained": False, "encoder": "test_resnet", "input_scale": input_scale}
    clusters = {"names": {0: "sky", 1: "Wände"}, "merged": merged or {}}
    config = settings(student=own, clusters=clusters, targets={"stack": "rgb"})
    stack = build_stack("rgb", label_stride=config.targets.label_stride, options={})
    network = None
    if student:
        network = Student(3, config.student, seed=0).eval()
        final = network.network.segmentation_head[0]
        with torch.no_grad():  # random weights prefer one cluster everywhere: centre the logits on noise
            noise = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
            final.bias -= network(noise).mean((0, 2, 3))
    prior = LabelPrior(torch.full((3,), 1 / 3), None, concentration=None, potts_weight=0.6, contrast=None)
    return TrainedModel(config, stack, make_generator(config, 3, stack.n_channels), prior, network)
