"""The fast mode as an ONNX file, for ONNX Runtime and whatever else reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pixelcluster.deploy.network import INPUT, OUTPUT, FastNetwork, Run, trace
from pixelcluster.errors import PixelClusterError


def check_packages() -> None:
    """Say early that the packages are missing.

    Raises:
        PixelClusterError: one of them cannot be imported.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise PixelClusterError(
            f"ONNX needs {error.name}, which is not installed; pip install 'pixelcluster[onnx]'"
        ) from error


def write(network: FastNetwork, facts: dict[str, str], path: Path) -> None:
    """Write a network into a file, with the facts as its metadata properties."""
    program = torch.onnx.export(
        trace(network), input_names=[INPUT], output_names=[OUTPUT], dynamo=True, verbose=False
    )
    assert program is not None  # with dynamo=True it never is
    program.model.metadata_props.update(facts)
    path.write_bytes(program.model_proto.SerializeToString())


def read(path: Path) -> tuple[Run, dict[str, str]]:
    """Return a file's graph, ready to run, and the facts in the file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        logs: NDArray[np.float32] = session.run([OUTPUT], {INPUT: image})[0]
        return logs

    return run, dict(session.get_modelmeta().custom_metadata_map)
