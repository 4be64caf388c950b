"""A model folder: config.yaml, model.safetensors (tensors only) and metrics.jsonl."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pixelcluster.config import dump_config, load_config
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.write import atomic_write, make_folder
from pixelcluster.model.prior import LabelPrior
from pixelcluster.targets.stack import build_stack
from pixelcluster.training.build import make_generator
from pixelcluster.training.trained import TrainedModel

if TYPE_CHECKING:
    from pixelcluster.training.student import Student

CONFIG, WEIGHTS, METRICS = "config.yaml", "model.safetensors", "metrics.jsonl"


def save_model(model: TrainedModel, folder: str | Path) -> None:
    """Write a model, each file whole or not at all.

    Args:
        model: fitted.
        folder: made where missing; files of an older model are replaced.

    Raises:
        PixelClusterError: the folder cannot be written.
    """
    path = make_folder(folder)
    parts: dict[str, nn.Module | None] = {
        "stack": model.stack,
        "generator": model.generator,
        "student": model.student,
    }
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, part in parts.items()
        if part is not None
        for key, value in part.state_dict().items()
    }
    tensors["prior.proportions"] = model.prior.proportions.cpu()
    if model.prior.rows is not None:
        tensors["prior.rows"] = model.prior.rows.cpu()
    with atomic_write(path / WEIGHTS, overwrite=True) as temporary:
        save_file(tensors, temporary, metadata={"format": "pixelcluster"})
    with atomic_write(path / METRICS, overwrite=True) as temporary:
        temporary.write_text("".join(json.dumps(entry) + "\n" for entry in model.history), encoding="utf-8")
    with atomic_write(path / CONFIG, overwrite=True) as temporary:
        temporary.write_text(dump_config(model.config), encoding="utf-8")


def load_model(folder: str | Path, device: torch.device) -> TrainedModel:
    """Read a model written by `save_model`; nothing is unpickled.

    Args:
        folder: the model folder.
        device: where the model goes.

    Raises:
        PixelClusterError: no model folder, a file that is not ours, or tensors that do not fit the settings.
    """
    path = Path(folder)
    if not (path / CONFIG).is_file() or not (path / WEIGHTS).is_file():
        raise PixelClusterError(
            f"{show_path(path)}: is no model folder ({CONFIG} and {WEIGHTS} are wanted); train one first"
        )
    config = load_config(path / CONFIG)
    try:
        tensors = load_file(path / WEIGHTS)
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise PixelClusterError(
            f"{show_path(path / WEIGHTS)}: is no safetensors file ({reason}); train the model again"
        ) from error
    proportions = tensors.get("prior.proportions")
    if config.n_clusters == "auto" or proportions is None or proportions.shape != (config.n_clusters,):
        raise PixelClusterError(
            f"{show_path(path)}: holds no model of {config.n_clusters} clusters; train it again"
        )
    stack = build_stack(
        config.targets.stack, label_stride=config.targets.label_stride, options=config.targets.options
    )
    generator = make_generator(config, config.n_clusters, stack.n_channels)
    student: Student | None = None
    if any(name.startswith("student.") for name in tensors):
        from pixelcluster.training import student as student_module  # brings timm, seconds to import

        student = student_module.Student(config.n_clusters, config.student, load_weights=False)
    for name, part in (("stack", stack), ("generator", generator), ("student", student)):
        if part is not None:
            _load(part, name, tensors, path)
            part.to(device).eval()
    prior = LabelPrior(
        proportions.to(device),
        tensors["prior.rows"].to(device) if "prior.rows" in tensors else None,
        concentration=config.prior.concentration,
        potts_weight=config.prior.potts_weight,
        contrast=config.prior.contrast,
    )
    return TrainedModel(config, stack, generator, prior, student, _read_history(path / METRICS))


def _read_history(path: Path) -> list[dict[str, object]]:
    """Return the entries of metrics.jsonl; a model does not need them."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise PixelClusterError(f"{show_path(path)}: cannot be read ({reason}); delete it") from error


def _load(part: nn.Module, name: str, tensors: dict[str, Tensor], path: Path) -> None:
    """Load the tensors called `name.*` into a part of the model."""
    own = {
        key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")
    }
    try:
        part.load_state_dict(own)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise PixelClusterError(
            f"{show_path(path)}: {name} does not fit config.yaml ({reason}); train the model again"
        ) from error
