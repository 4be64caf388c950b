"""A folder of an image-level model: cluster.yaml (settings) and model.safetensors (tensors only)."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
import yaml
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pixelcluster.cluster.generators import make_generator
from pixelcluster.cluster.graph import ImageGraph
from pixelcluster.cluster.model import ImageModel
from pixelcluster.cluster.recognition import Recognition
from pixelcluster.cluster.settings import MOST_CLUSTERS, ImageSettings
from pixelcluster.cluster.student import ImageStudent
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.model_files import IMAGES, refuse_other_kind
from pixelcluster.io.settings_yaml import read_yaml
from pixelcluster.io.write import atomic_set, make_folder
from pixelcluster.resuming.state_file import save_tensors

WEIGHTS = "model.safetensors"
_GRAPH = ("mean", "axes", "places", "radii", "edges", "weights")


def save_images_model(model: ImageModel, folder: str | Path) -> None:
    """Write a model: whole, or not at all.

    Raises:
        PixelClusterError: the folder cannot be written.
    """
    path = make_folder(folder)
    parts: dict[str, nn.Module | None] = {
        "generator": cast("nn.Module", model.generator),
        "recognition": model.recognition,
        "student": model.student,
    }
    tensors = {
        f"{name}.{key}": value
        for name, part in parts.items()
        if part is not None
        for key, value in part.state_dict().items()
    }
    tensors |= {
        "proportions": model.proportions,
        "probabilities": model.probabilities.half(),
        "latents": model.latents.half(),
        "objective": torch.tensor(model.objective),
    }
    if model.graph is not None:
        tensors |= {f"graph.{name}": getattr(model.graph, name) for name in _GRAPH}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    values = {"channels": model.channels, **model.settings.model_dump(mode="json")}
    files = [path / name for name in (IMAGES, WEIGHTS)]
    with atomic_set(files, overwrite=True) as (settings, weights):
        save_tensors(tensors, weights, {"format": "pixelcluster-images"})
        settings.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def load_images_model(folder: str | Path, device: torch.device) -> ImageModel:
    """Read a model written by `save_images_model`; nothing is unpickled.

    Raises:
        PixelClusterError: no such folder, a model of pixels, a file that is not ours, or tensors that do not
            fit the settings.
    """
    path = Path(folder)
    refuse_other_kind(path, IMAGES)
    if not (path / IMAGES).is_file() or not (path / WEIGHTS).is_file():
        raise PixelClusterError(
            f"{show_path(path)}: is no image-level model ({IMAGES} and {WEIGHTS} are wanted); "
            "make one with pixelcluster cluster"
        )
    try:
        values = dict(read_yaml(path / IMAGES)[0])  # type: ignore[call-overload]
        channels = int(values.pop("channels"))
        settings = ImageSettings.model_validate(values)
        tensors = load_file(path / WEIGHTS)
        proportions = tensors["proportions"]
        n_clusters = len(proportions)
        if n_clusters > MOST_CLUSTERS or channels not in (1, 3):
            raise ValueError(f"{n_clusters} clusters, {channels} channels")
        generator = make_generator(settings, n_clusters, channels, seed=0)
        n_chains = n_clusters if settings.chains == "per_cluster" else 1
        recognition = Recognition(n_chains, generator.n_latent, channels, settings.side)
        student = None
        if any(name.startswith("student.") for name in tensors):
            student = ImageStudent(n_clusters, channels, settings.side)
        for name, part in (("generator", generator), ("recognition", recognition), ("student", student)):
            if part is not None:
                part.load_state_dict(_of(tensors, name))
                part.to(device).eval()
        graph = None
        if "graph.mean" in tensors:
            graph = ImageGraph(**{name: tensors[f"graph.{name}"] for name in _GRAPH})
        return ImageModel(
            settings=settings,
            generator=generator,
            recognition=recognition,
            proportions=proportions,
            graph=graph,
            probabilities=tensors["probabilities"].float(),
            latents=tensors["latents"].float(),
            student=student,
            objective=float(tensors["objective"]),
        )
    except (
        SafetensorError,
        OSError,
        ValidationError,
        RuntimeError,
        KeyError,
        AttributeError,
        TypeError,
        ValueError,
    ) as error:
        reason = " ".join(str(error).split())[:160]
        raise PixelClusterError(
            f"{show_path(path)}: is no image-level model of this version ({reason}); fit it again"
        ) from error


def _of(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors called `part.*` without the prefix."""
    return {
        name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")
    }
