"""The state of a run as one file: tensors by name in safetensors, everything else as JSON in its header.

A state is a nested mapping of tensors, numbers, text, None and lists. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.write import atomic_write

State = dict[str, Any]

_FORMAT = "pixelcluster run 1"
_TENSOR = "$tensor"


def write_state(path: Path, state: State) -> None:
    """Write a state; the file appears whole or not at all.

    Args:
        path: the final name; an existing file is replaced.
        state: keys are text.

    Raises:
        PixelClusterError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    facts = json.dumps(_take_out(state, "", tensors), allow_nan=False)
    with atomic_write(path, overwrite=True) as temporary:
        save_tensors(tensors, temporary, {"format": _FORMAT, "state": facts})


def save_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write tensors to a path as it is.

    Raises:
        OSError: as any other writer does; safetensors has an error of its own for a full disk.
    """
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:
        raise OSError(" ".join(str(error).split())) from error


def read_state(path: Path) -> State:
    """Read a state written by `write_state`.

    Args:
        path: the file.

    Raises:
        PixelClusterError: missing, damaged, or not such a file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ValueError(f"its format is {metadata.get('format')!r}, wanted {_FORMAT!r}")
            # Copies: memory of the file itself is not aligned as torch's own, and kernels round accordingly.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        state = _put_back(json.loads(metadata["state"]), tensors)
        if not isinstance(state, dict):
            raise ValueError("it holds no state")
    except (SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PixelClusterError(
            f"{show_path(path)}: is no checkpoint that can be read ({reason}); delete it and resume from an "
            "older one"
        ) from error
    return state


def _take_out(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return a value with each tensor replaced by its name, and put the tensors into a mapping."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous()
        return {_TENSOR: name}
    if isinstance(value, dict):
        return {key: _take_out(item, f"{name}/{key}", tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_take_out(item, f"{name}/{index}", tensors) for index, item in enumerate(value)]
    return value


def _put_back(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo `_take_out`."""
    if isinstance(value, dict):
        if set(value) == {_TENSOR}:
            return tensors[value[_TENSOR]]
        return {key: _put_back(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_put_back(item, tensors) for item in value]
    return value


def optimiser_state(optimiser: torch.optim.Optimizer) -> State:
    """Return the moments of each parameter and the rates of each group."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    return {
        "moments": [dict(optimiser.state.get(parameter, {})) for parameter in parameters],
        "groups": [{"lr": group["lr"], "betas": group["betas"]} for group in optimiser.param_groups],
    }


def load_optimiser(optimiser: torch.optim.Optimizer, state: State) -> None:
    """Put an `optimiser_state` into an optimiser of the same parameters, bit for bit.

    torch's own `load_state_dict` would lose the memory format of the moments, and kernels round accordingly.
    """
    for group, saved in zip(optimiser.param_groups, state["groups"], strict=True):
        group["lr"], group["betas"] = float(saved["lr"]), tuple(map(float, saved["betas"]))
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for parameter, moments in zip(parameters, state["moments"], strict=True):
        if moments and set(moments) != {"step", "exp_avg", "exp_avg_sq"}:
            raise ValueError(f"a parameter has the moments {sorted(moments)}, which are not Adam's")
        for name, value in moments.items():
            if value.ndim == 0:
                optimiser.state[parameter][name] = value
            elif value.shape == parameter.shape:
                optimiser.state[parameter][name] = torch.zeros_like(parameter).copy_(value)
            else:
                raise ValueError(f"a moment has shape {tuple(value.shape)}, its parameter {parameter.shape}")
