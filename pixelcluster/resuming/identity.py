"""What a run and its checkpoint must agree on: settings, seed, images, and what rounding depends on."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor

from pixelcluster.config_file import parse_settings
from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.resuming.state_file import State
from pixelcluster.training import distributed


def identity(config: BaseModel, seed: int, images: Tensor) -> State:
    """Return the part of a state that `check_same_run` compares; its arguments are the same."""
    return {
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "made_with": _made_with(),
        "images": images,
    }


def check_same_run(state: State, config: BaseModel, seed: int, images: Tensor) -> None:
    """Refuse to go on with other settings or other images than a run began with.

    Warns:
        PixelClusterWarning: torch, its number of threads or that of processes is another.

    Raises:
        PixelClusterError: as said; the first image that differs is named.
    """
    if parse_settings(type(config), state["config"]) != config or int(state["seed"]) != seed:
        raise PixelClusterError("the run was begun with other settings or another seed; give the same ones")
    if state["made_with"] != _made_with():
        warnings.warn(
            f"begun with {state['made_with']}, resumed with {_made_with()}: the result is as good, "
            "but not bit for bit that of an unbroken run",
            PixelClusterWarning,
            stacklevel=3,
        )
    then: Tensor = state["images"]
    if len(then) != len(images):
        raise PixelClusterError(
            f"the run was begun with {len(then)} images, {len(images)} are there now; restore the folder"
        )
    if not torch.equal(then, images):
        index = int((then != images).nonzero()[0])
        raise PixelClusterError(
            f"image {index + 1} of {len(images)} is not the one the run was begun with; restore the folder"
        )


def _made_with() -> dict[str, object]:
    """Return what rounding depends on, besides the machine."""
    processes = {"processes": distributed.size()} if distributed.size() > 1 else {}
    return {"torch": str(torch.__version__), "threads": torch.get_num_threads(), **processes}


def fingerprints(
    images: Sequence[NDArray[np.generic]], masks: Sequence[NDArray[np.bool_]] | None = None
) -> Tensor:
    """Return a number for each image and mask, (N,) int64, that tells whether they are the same."""
    numbers = []
    for index, image in enumerate(images):
        digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=8)
        digest.update(np.ascontiguousarray(image).data)
        if masks is not None:
            digest.update(np.ascontiguousarray(masks[index]).data)
        numbers.append(int.from_bytes(digest.digest(), "little", signed=True))
    return torch.tensor(numbers, dtype=torch.int64)


@contextmanager
def of_checkpoint() -> Iterator[None]:
    """Turn what a state of another version or shape raises into one line.

    Raises:
        PixelClusterError: the block read something that was not there, or of another shape.
    """
    try:
        yield
    except PixelClusterError:
        raise
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise PixelClusterError(
            f"the checkpoint is not one of this run and version ({reason}); start again without --resume"
        ) from error
