"""K-means on frozen features of a pretrained encoder.

Source: the baseline of Cho et al., PiCIE, CVPR 2021, and of Hamilton et al., Unsupervised semantic
segmentation by distilling feature correspondences, ICLR 2022 ("DINO + K-means"). The features are those of
`targets.encoder`: several layers and scales of EfficientNet-Lite0 instead of one of a ResNet or ViT.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pixelcluster import clock
from pixelcluster.baselines.base import Baseline, FloatImage, LabelMap, Mask, colour, filled
from pixelcluster.baselines.per_pixel.features import cluster_features, nearness
from pixelcluster.baselines.per_pixel.loop import as_tensor
from pixelcluster.baselines.per_pixel.network import STRIDE, grow
from pixelcluster.device import choose_device
from pixelcluster.targets.encoder import EncoderStack


class EncoderKMeans(Baseline):
    """K-means on encoder features of all images together; a channel beside RGB is left out.

    Args:
        n_clusters: K.
        seed: seeds the drawn cells and the starts.
        device: "auto", "cpu" or "cuda".
        minutes: no use for it, the fit takes about 0.1 s an image of 128 px.
    """

    def fit(self, images: Sequence[FloatImage], masks: Sequence[Mask] | None = None) -> EncoderKMeans:
        """Fit the K centres on cells that are not masked, see `Baseline.fit`.

        Raises:
            PixelClusterError: fewer unmasked cells than clusters, no unmasked pixel, or an unknown device.
        """
        deadline = clock.now() + 60 * self.minutes
        self.device_ = choose_device(self.device)
        usable = filled([colour(image) for image in images], masks)
        self.stack_ = EncoderStack(STRIDE).to(self.device_)
        tensors = [as_tensor([image])[0] for image, _ in usable]
        self.stack_.fit(tensors, masks=[torch.from_numpy(mask) for _, mask in usable])
        self.learn(usable, deadline)
        self.centres_ = cluster_features(
            self.codes, usable, self.n_clusters, seed=self.seed, device=self.device_
        )
        return self

    def learn(self, images: Sequence[tuple[FloatImage, Mask]], deadline: float) -> None:
        """Learn what stands between the features and what is clustered; here nothing does."""

    def codes(self, images: Tensor) -> Tensor:
        """Return what is clustered, (B, C, h, w) at stride 4, of images (B, 3, H, W)."""
        features: Tensor = self.stack_(images)
        return features

    @torch.no_grad()
    def predict(self, image: FloatImage) -> LabelMap:
        """Return the nearest centre, distances grown bilinearly to pixels, (H, W) int32."""
        scores = nearness(self.codes(as_tensor([colour(image)]).to(self.device_)), self.centres_)
        labels: LabelMap = grow(scores, image.shape[:2])[0].argmax(0).to("cpu", torch.int32).numpy()
        return labels
