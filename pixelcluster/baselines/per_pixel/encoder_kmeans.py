"""K-means on frozen features of a pretrained encoder.

Source: the baseline of Cho et al., PiCIE, CVPR 2021, and of Hamilton et al., Unsupervised semantic
segmentation by distilling feature correspondences, ICLR 2022 ("DINO + K-means"). The features are those of
`targets.encoder`: several layers and scales of EfficientNet-Lite0 instead of one of a ResNet or ViT.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pixelcluster.baselines.base import FloatImage, LabelMap, Mask, colour
from pixelcluster.baselines.per_pixel.base import MaskedImages, PerPixelBaseline
from pixelcluster.baselines.per_pixel.features import cluster_features, nearness
from pixelcluster.baselines.per_pixel.network import STRIDE, as_tensor, largest
from pixelcluster.device import choose_device
from pixelcluster.targets.encoder import EncoderStack


class EncoderKMeans(PerPixelBaseline):
    """K-means on encoder features of all images together; a channel beside RGB is left out.

    Args:
        n_clusters: K.
        seed: seeds the drawn cells and the starts.
        device: "auto", "cpu" or "cuda".
        minutes: no use for it, the fit takes about 0.1 s an image of 128 px.
    """

    def _learn(self, images: MaskedImages, deadline: float) -> None:
        self.device_ = choose_device(self.device)
        usable = [(colour(image), mask) for image, mask in images]
        self.stack_ = EncoderStack(STRIDE).to(self.device_)
        tensors = [torch.from_numpy(image).permute(2, 0, 1) for image, _ in usable]
        self.stack_.fit(tensors, masks=[torch.from_numpy(mask) for _, mask in usable])
        self.learn_codes(usable, deadline)
        self.centres_ = cluster_features(
            self.codes, usable, self.n_clusters, seed=self.seed, device=self.device_
        )

    def learn_codes(self, images: MaskedImages, deadline: float) -> None:
        """Learn what stands between the features and what is clustered; here nothing does."""

    def codes(self, images: Tensor) -> Tensor:
        """Return what is clustered, (B, C, h, w) at stride 4, of images (B, 3, H, W)."""
        features: Tensor = self.stack_(images)
        return features

    @torch.no_grad()
    def _assign(self, image: FloatImage, mask: Mask) -> LabelMap:
        scores = nearness(self.codes(as_tensor([colour(image)]).to(self.device_)), self.centres_)
        return largest(scores, image.shape[:2])
