"""Target stack `encoder`: frozen features of a pretrained network, several layers and input scales fused.

Every layer is L2-normalised over channels, so that layers weigh equally, brought to the label grid, and all
together are reduced to their leading principal components.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from pixelcluster.errors import PixelClusterError
from pixelcluster.targets.base import LinearStack
from pixelcluster.targets.encoder_weights import OFFLINE_ENCODER, load_encoder
from pixelcluster.targets.grid import grid_shape
from pixelcluster.targets.linear_maps import principal_components

# Layer outputs come at strides up to this; the input is resized to a multiple, so that their cells line up.
_MULTIPLE = 32
_DEFAULT_LAYERS = {OFFLINE_ENCODER: ("blocks.2", "blocks.4", "blocks.5", "blocks.6")}
_outputs: ContextVar[dict[str, Tensor]] = ContextVar("_outputs")
"""Layers of the call under way, by name; each thread has its own."""


class EncoderStack(LinearStack):
    """Leading principal components of frozen features. The weights of the encoder are not part of the state.

    Args:
        label_stride: pixels a label cell and axis.
        name: any timm encoder; all but the default need a network, or their weights in the cache of timm.
        layers: names of modules in the timm model; None: four stages for the default, the pyramid for others.
        scales: factors by which the input is enlarged; features of all are joined.
        flip: average with the features of the mirrored image.
        n_components: D at most.
        batch_size: images a forward pass.

    Raises:
        PixelClusterError: unknown encoder or layer, or weights that cannot be had.
    """

    def __init__(
        self,
        label_stride: int,
        *,
        name: str = OFFLINE_ENCODER,
        layers: Sequence[str] | None = None,
        scales: Sequence[float] = (2, 3),
        flip: bool = False,
        n_components: int = 48,
        batch_size: int = 4,
    ) -> None:
        if not scales or min(scales) <= 0:
            raise PixelClusterError(f"scales are factors above 0, got {tuple(scales)}")
        name = name.removeprefix("tu-")
        with torch.device("cpu"), torch.no_grad():  # real even where a model file's shapes are only compared
            encoder, mean, std = load_encoder(name)
            reader = LayerReader(encoder, layers if layers is not None else _DEFAULT_LAYERS.get(name))
            n_layers = [
                features.shape[1] for features in reader(torch.zeros(1, 3, 2 * _MULTIPLE, 2 * _MULTIPLE))
            ]
        super().__init__(sum(n_layers) * len(scales), n_components, label_stride)
        self.scales, self.flip, self.batch_size = tuple(scales), flip, batch_size
        self._reader = [reader]  # in a list: not a submodule, so that the state holds only the statistics
        self._input_mean, self._input_std = mean, std

    def raw(self, images: Tensor) -> Tensor:
        """Return joined features (B, C, h, w), a small batch at a time to bound memory."""
        parts = torch.split(images, self.batch_size)
        return torch.cat([self._features(part) for part in parts])

    def linear_map(self, covariance: Tensor) -> Tensor:
        """Return the leading principal components on one scale."""
        return principal_components(covariance, self.n_channels)

    def _features(self, images: Tensor) -> Tensor:
        """Return features of all scales (B, C, h, w)."""
        shape = grid_shape(images.shape[2], images.shape[3], self.label_stride)
        inputs = (images - images.new_tensor(self._input_mean)[:, None, None]) / images.new_tensor(
            self._input_std
        )[:, None, None]
        joined = []
        for scale in self.scales:
            enlarged = functional.interpolate(
                inputs, size=_input_shape(images, scale), mode="bicubic", align_corners=False
            )
            layers = self._layers(enlarged)
            joined += [
                functional.interpolate(
                    functional.normalize(layer, dim=1), size=shape, mode="bilinear", align_corners=False
                )
                for layer in layers
            ]
        return torch.cat(joined, 1)

    def _layers(self, inputs: Tensor) -> list[Tensor]:
        """Return the layers of an input, averaged with those of its mirror image where asked for."""
        reader = self._reader[0].to(inputs.device)
        layers: list[Tensor] = reader(inputs)
        if self.flip:
            layers = [(a + b.flip(3)) / 2 for a, b in zip(layers, reader(inputs.flip(3)), strict=True)]
        return layers


class LayerReader(nn.Module):
    """A frozen encoder that returns the outputs of chosen layers.

    Args:
        encoder: universal timm encoder of segmentation-models-pytorch (the timm model is its `model`).
        layers: names of modules in the timm model; None: the pyramid of the encoder without its input.

    Raises:
        PixelClusterError: a layer the model does not have.
    """

    def __init__(self, encoder: nn.Module, layers: Sequence[str] | None) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)
        self._layers = layers
        modules = dict(encoder.model.named_modules())  # type: ignore[union-attr]
        for name in layers or ():
            if name not in modules:
                known = ", ".join(key for key in modules if key.count(".") <= 1 and key)
                raise PixelClusterError(f"encoder has no layer {name!r}; choose from {known}")
            modules[name].register_forward_hook(partial(_keep, name))

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Return the layers, each (B, C_l, h_l, w_l), of normalised inputs (B, 3, H, W)."""
        kept: dict[str, Tensor] = {}
        before = _outputs.set(kept)
        try:
            pyramid = self.encoder(inputs)
        finally:
            _outputs.reset(before)
        if self._layers is None:
            return [level for level in pyramid[1:] if level.shape[1] > 0]
        return [kept[name] for name in self._layers]


def _keep(name: str, _module: nn.Module, _inputs: object, output: Tensor) -> None:
    """Note the output of a layer; a function of the module, so that models can be pickled and copied."""
    _outputs.get()[name] = output


def _input_shape(images: Tensor, scale: float) -> tuple[int, int]:
    """Return the size nearest to `scale` times that of the images whose sides are multiples of the stride."""
    height, width = (max(round(side * scale / _MULTIPLE), 1) * _MULTIPLE for side in images.shape[2:])
    return height, width
