"""From a model folder to a file that runs without pixelcluster, and whether both say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pixelcluster.data.folder import limit_side
from pixelcluster.deploy import onnx_file, torch_program
from pixelcluster.deploy.network import Run, facts, fast_network
from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.model_files import IMAGES
from pixelcluster.io.write import atomic_write, check_writable
from pixelcluster.segmenting.predict import predict_log_probabilities
from pixelcluster.segmenting.reader import Reader
from pixelcluster.training.checkpoint import load_model
from pixelcluster.training.model import TrainedModel

Format = Literal["onnx", "torch"]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}


def export_model(
    folder: str | Path, to: Format, path: str | Path, *, overwrite: bool = False
) -> TrainedModel:
    """Write the fast mode of a trained model as one graph.

    Args:
        folder: of a model with a student.
        to: "onnx" or "torch".
        path: the file, named .onnx or .pt2.
        overwrite: replace an existing file.

    Returns:
        The model, on the CPU.

    Raises:
        PixelClusterError: no such model, a model without student or of whole images, another suffix, missing
            packages, or a file that cannot be written.
    """
    source, target = Path(folder), Path(path)
    if target.suffix != SUFFIXES[to]:
        raise PixelClusterError(f"{show_path(target)}: --to {to} writes {SUFFIXES[to]}; name the file so")
    check_writable(target, overwrite=overwrite)
    if to == "onnx":
        onnx_file.check_packages()
    if (source / IMAGES).is_file():
        raise PixelClusterError(
            f"{show_path(source)}: is a model of whole images, which is not exported; give a folder "
            "written by pixelcluster train"
        )
    model = load_model(source, torch.device("cpu"))
    network = fast_network(model)
    write = onnx_file.write if to == "onnx" else torch_program.write
    with atomic_write(target, overwrite=overwrite) as temporary:
        write(network, facts(model), temporary)
    return model


def read_exported(path: str | Path) -> tuple[Run, dict[str, str]]:
    """Return the graph of a file written by `export_model`, ready to run, and the facts in it."""
    read = onnx_file.read if Path(path).suffix == SUFFIXES["onnx"] else torch_program.read
    return read(Path(path))


def agreement(model: TrainedModel, run: Run, image: NDArray[np.float32]) -> float:
    """Return the share of pixels of an image that get one label from a model and from its exported graph.

    Args:
        model: with a student.
        run: of `read_exported`.
        image: (H, W, 3) float32 in [0, 1]; shrunk to the working size of the model first.
    """
    side = model.config.targets.image_side
    small = image if side is None else limit_side(image, side)
    logs = run(np.ascontiguousarray(small.transpose(2, 0, 1)[None]))
    own = predict_log_probabilities(Reader(model, "fast", 0, torch.device("cpu")), small)
    return float((logs[0].argmax(0) == own.argmax(0).numpy()).mean())
