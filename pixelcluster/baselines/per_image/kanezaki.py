"""One small network an image, taught by superpixels.

Source: Kanezaki, Unsupervised image segmentation by backpropagation, ICASSP 2018: a convolutional network
labels pixels by its largest response, the labels become one a superpixel by majority, and the network learns
these, until few labels are left or the steps are used up.

Deviations: the network sees the image at no more than 160 px a side (labels grown bilinearly) and has 32
channels (the paper: full size, 100), about 1,000 superpixels of compactness 10 (the author's code: 10,000 of
100) and 200 steps at most (1,000), so that an image takes seconds and not an hour on one core; a time budget.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import cv2
import numpy as np
import torch
from skimage.segmentation import slic
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster import clock
from pixelcluster.baselines.base import FloatImage, LabelMap, Mask, PerImageBaseline
from pixelcluster.device import choose_device
from pixelcluster.seeding import seeded

_WIDTH = 32
_SIDE = 160


@dataclass(eq=False)
class Kanezaki(PerImageBaseline):
    """Kanezaki's network an image.

    Args:
        n_clusters: the training stops when no more labels are left; the method has no exact number.
        seed: of the weights.
        device: "auto", "cpu" or "cuda".
        minutes: time budget of one image; `fit` does nothing.
        steps: at most.
        n_segments: superpixels asked for.
        learning_rate: of stochastic gradient descent with momentum .9.

    Attributes:
        losses_: cross-entropy of every step of the last image.
    """

    n_clusters: int = 4
    _: KW_ONLY
    minutes: float = 0.2
    steps: int = 200
    n_segments: int = 1000
    learning_rate: float = 0.1

    def predict(self, image: FloatImage, mask: Mask | None = None) -> LabelMap:
        """Train on one image (H, W, 3) and return its label map (H, W) int32, ids 0..n-1 without gaps."""
        deadline = clock.now() + 60 * self.minutes
        device = choose_device(self.device)
        height, width = image.shape[:2]
        factor = min(1.0, _SIDE / max(height, width))
        # Batch norm wants more than one pixel.
        size = (max(2, round(width * factor)), max(2, round(height * factor)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        segments = torch.from_numpy(slic(small, n_segments=self.n_segments, start_label=0)).to(device)
        pixels = torch.from_numpy(small).permute(2, 0, 1)[None].to(device)
        with seeded(self.seed):
            network = _network().to(device)
        optimiser = torch.optim.SGD(network.parameters(), self.learning_rate, momentum=0.9)
        self.losses_: list[float] = []
        while True:
            responses = network(pixels)
            labels = responses.detach().argmax(1)[0]
            few = len(labels.unique()) <= self.n_clusters
            if few or len(self.losses_) == self.steps or (self.losses_ and clock.now() > deadline):
                break
            loss = functional.cross_entropy(responses, majority(labels, segments)[None])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            self.losses_.append(float(loss.detach()))
        grown = functional.interpolate(
            responses.detach(), size=(height, width), mode="bilinear", align_corners=False
        )
        _, ids = np.unique(grown[0].argmax(0).cpu().numpy(), return_inverse=True)
        return ids.reshape(height, width).astype(np.int32)


def majority(labels: Tensor, segments: Tensor) -> Tensor:
    """Return each pixel's most frequent label of its superpixel, (H, W) int64; ties take the smaller label.

    Args:
        labels: (H, W) int64 below 32.
        segments: (H, W) int64 ids of superpixels.
    """
    counts = torch.bincount(
        (segments * _WIDTH + labels).flatten(), minlength=(int(segments.max()) + 1) * _WIDTH
    )
    return counts.view(-1, _WIDTH).argmax(1)[segments]


def _network() -> nn.Sequential:
    """Return convolutions 3, 3, 1, each with batch norm; ReLU between."""
    return nn.Sequential(
        nn.Conv2d(3, _WIDTH, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(_WIDTH),
        nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(_WIDTH),
        nn.Conv2d(_WIDTH, _WIDTH, 1),
        nn.BatchNorm2d(_WIDTH),
    )
