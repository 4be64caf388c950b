"""A model folder: config.yaml, model.safetensors (tensors only) and metrics.jsonl."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from pixelcluster.config_file import dump_config, load_config
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.metrics_file import METRICS, dump_metrics, read_metrics
from pixelcluster.io.model_files import PIXELS
from pixelcluster.io.write import atomic_set, make_folder
from pixelcluster.resuming.state_file import save_tensors
from pixelcluster.targets.base import TargetStack
from pixelcluster.targets.stack import build_stack
from pixelcluster.training.build import make_generator, prior_of
from pixelcluster.training.model import TrainedModel

if TYPE_CHECKING:
    from pixelcluster.training.student import Student

Value = TypeVar("Value")
Part = TypeVar("Part", bound=nn.Module)
Described = tuple[tuple[int, ...], str | None]

_TYPES = {torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL"}

WEIGHTS = "model.safetensors"


def save_model(model: TrainedModel, folder: str | Path) -> None:
    """Write a model: whole, or not at all.

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
    files = [path / name for name in (PIXELS, METRICS, WEIGHTS)]
    with atomic_set(files, overwrite=True) as (config, metrics, weights):
        save_tensors(tensors, weights, {"format": "pixelcluster"})
        metrics.write_text(dump_metrics(model.history), encoding="utf-8")
        config.write_text(dump_config(model.config), encoding="utf-8")


def load_model(folder: str | Path, device: torch.device) -> TrainedModel:
    """Read a model written by `save_model`; nothing is unpickled.

    Args:
        folder: the model folder.
        device: where the model goes.

    Raises:
        PixelClusterError: no model folder, a file that is not ours, or tensors that do not fit the settings.
    """
    path = Path(folder)
    if not (path / PIXELS).is_file() or not (path / WEIGHTS).is_file():
        raise PixelClusterError(
            f"{show_path(path)}: is no model folder ({PIXELS} and {WEIGHTS} are wanted); train one first"
        )
    config = load_config(path / PIXELS)
    shapes = _read_shapes(path / WEIGHTS)
    n_clusters = config.n_clusters
    if n_clusters == "auto" or shapes.get("prior.proportions") != ((n_clusters,), "F32"):
        raise PixelClusterError(f"{show_path(path)}: holds no model of {n_clusters} clusters; train it again")
    targets = config.targets

    def make_stack() -> TargetStack:
        return build_stack(targets.stack, label_stride=targets.label_stride, options=targets.options)

    def make_student() -> Student:
        from pixelcluster.training.student import Student  # brings timm, seconds to import

        return Student(n_clusters, config.student, load_weights=False)

    stack = _checked("stack", make_stack, shapes, path)
    n_channels = stack.n_channels
    generator = _checked("generator", lambda: make_generator(config, n_clusters, n_channels), shapes, path)
    student: Student | None = None
    if any(name.startswith("student.") for name in shapes):
        student = _checked("student", make_student, shapes, path)
    rows = shapes.get("prior.rows")
    if rows is not None and (len(rows[0]) != 2 or rows[0][1] != n_clusters or rows[1] != "F32"):
        raise PixelClusterError(
            f"{show_path(path)}: prior.rows is {rows}, wanted {n_clusters} columns of F32; train it again"
        )
    # load_file maps the file, which may change or go.
    tensors = {key: value.clone() for key, value in load_file(path / WEIGHTS).items()}
    broken = [key for key, value in tensors.items() if not value.isfinite().all()]
    if broken:
        raise PixelClusterError(f"{show_path(path)}: {broken[0]} is not finite; train the model again")
    if student is not None and _has_more_than_its_state(student):
        student = make_student()
    for name, part in (("stack", stack), ("generator", generator), ("student", student)):
        if part is not None:
            part.load_state_dict(_of_part(name, tensors), assign=True)
            part.to(device).eval()
    proportions = tensors["prior.proportions"]
    table = tensors["prior.rows"].to(device) if "prior.rows" in tensors else None
    prior = prior_of(config.prior, proportions.to(device), table)
    return TrainedModel(config, stack, generator, prior, student, read_metrics(path))


def _read_shapes(path: Path) -> dict[str, Described]:
    """Return shape and type of each tensor in a file, from its header only."""
    try:
        with safe_open(path, framework="pt") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in parts.items()}
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise PixelClusterError(
            f"{show_path(path)}: is no safetensors file ({reason}); train the model again"
        ) from error


def _checked(name: str, build: Callable[[], Part], shapes: dict[str, Described], path: Path) -> Part:
    """Return a part of the model as the settings make it and the file fits it, without memory as yet."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            part = build()
        except RuntimeError as error:  # sizes whose product is no number any more
            reason = " ".join(str(error).split())[:160]
            raise PixelClusterError(
                f"{show_path(path)}: {name} does not fit config.yaml ({reason}); train the model again"
            ) from error
    wanted = {key: (tuple(value.shape), _TYPES.get(value.dtype)) for key, value in part.state_dict().items()}
    found = _of_part(name, shapes)
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            raise PixelClusterError(
                f"{show_path(path)}: {name} does not fit config.yaml ({key} is {found.get(key)}, wanted "
                f"{wanted.get(key)}); train the model again"
            )
    return part


def _has_more_than_its_state(part: nn.Module) -> bool:
    """Return whether a part has buffers that no file holds, as some encoders of timm do."""
    return not dict(part.named_buffers()).keys() <= part.state_dict().keys()


def _of_part(name: str, values: dict[str, Value]) -> dict[str, Value]:
    """Return the values called `name.*`, without that."""
    return {
        key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")
    }
