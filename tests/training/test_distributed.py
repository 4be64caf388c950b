"""Two processes under torchrun against one: equal to rounding, stopped together, resumed apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pixelcluster import PixelCluster
from pixelcluster.errors import PixelClusterWarning
from pixelcluster.resuming.snapshots import find, read_newest
from pixelcluster.torture.repeat import Watched
from pixelcluster.training import distributed
from tests.synthetic import textures
from tests.training.two_processes import RUNS, STOP_AT, fit, learned_encoder, parameters

ROOT = Path(__file__).parents[2]
QUICK = """
n_clusters: 2
targets: {stack: rgb, image_side: 32}
student: {enabled: false}
training: {restarts: 1, epochs: 1}
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The other processes have one each, and more would round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder two processes wrote to, and how they ended."""
    folder = tmp_path_factory.mktemp("both")
    (folder / "images").mkdir()
    for index, image in enumerate(textures(2, side=32)[0]):
        Image.fromarray((255 * image).astype("uint8")).save(folder / "images" / f"{index}.png")
    (folder / "quick.yaml").write_text(QUICK)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [*torchrun, "-m", "tests.training.two_processes", str(folder)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert (folder / "0.json").is_file(), ended.stderr
    return folder, ended


@pytest.mark.parametrize("name", RUNS)
def test_both_end_in_the_same_model_and_that_of_one_process_up_to_rounding(both, name: str) -> None:
    first, second = (load_file(both[0] / f"{name} {rank}.safetensors") for rank in range(2))
    alone = parameters(fit(name))
    assert first.keys() == second.keys() == alone.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
        # Adam takes whole steps, of 2e-3 at most and 4 of them, where a gradient is nothing but rounding.
        tolerance = 8e-3 if key.startswith("student") else 1e-4
        torch.testing.assert_close(
            value, alone[key], rtol=1e-3, atol=tolerance, msg=lambda m, k=key: f"{k}: {m}"
        )


def test_an_encoder_that_learns_sees_whole_batches(both) -> None:
    alone = learned_encoder()
    for rank in range(2):
        student = load_file(both[0] / f"learned encoder {rank}.safetensors")
        assert all(torch.equal(value, student[name]) for name, value in alone.items())


def test_a_signal_to_one_stops_both_after_the_step_and_two_resume_bit_for_bit(both) -> None:
    folder = both[0]
    assert [json.loads((folder / f"{rank}.json").read_text())["exit_code"] for rank in range(2)] == [143, 143]
    assert [path.name for path in find(folder / "stopped")] == [f"step-{STOP_AT:09}.safetensors"]
    whole = load_file(folder / "restarts 0.safetensors")
    for rank in range(2):
        resumed = load_file(folder / f"resumed {rank}.safetensors")
        assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


def test_one_process_goes_on_from_the_checkpoint_of_two(both, tmp_path: Path) -> None:
    state = read_newest(both[0] / "stopped")
    alone = Watched(tmp_path, stop_at=STOP_AT)
    with pytest.raises(KeyboardInterrupt):
        fit("restarts", alone)
    own = read_newest(tmp_path)
    assert state["starts"]["fit"].keys() == own["starts"]["fit"].keys()
    for name, value in own["starts"]["fit"]["chains"].items():
        # A direction is a difference of gradients over a hundredth, which enlarges rounding.
        atol = 1e-2 if name.startswith("direction") else 1e-4
        torch.testing.assert_close(state["starts"]["fit"]["chains"][name], value, rtol=1e-3, atol=atol)
    with pytest.warns(PixelClusterWarning, match="'processes': 2"):
        resumed = fit("restarts", Watched(tmp_path, state=state))
    whole = parameters(fit("restarts"))
    for name, value in parameters(resumed).items():
        torch.testing.assert_close(value, whole[name], rtol=1e-3, atol=1e-4)


def test_sums_shares_and_decisions_are_common(both) -> None:
    first, second = (json.loads((both[0] / f"{rank}.json").read_text()) for rank in range(2))
    assert first["own"] == [[], [0], [0, 1]]
    assert second["own"] == [[0], [1], [2, 3, 4]]
    assert (first["leads"], second["leads"]) == (True, False)
    for result in (first, second):
        assert result["total"] == [2.0, 1.0]
        assert result["gradients"] == [[2.0, 5.0], [1.0, 1.0], None]
        assert result["agreed"] == 15
        assert result["late"] == [False, True]
        assert result["of_lead"] == "from 0"
        assert result["spread"] == [[1, 0], [2, 1], [3, 0]]


def test_one_process_writes_and_an_error_of_the_other_ends_both_with_its_line(both) -> None:
    folder, ended = both
    assert PixelCluster.load(folder / "model").model_.config.n_clusters == 2
    assert (folder / "model" / "samples.png").is_file()
    assert ended.returncode == 1
    assert [line for line in ended.stderr.splitlines() if line.startswith("error")] == [
        "error: a disk is full"
    ]


def test_a_process_of_its_own_sums_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")  # some schedulers set it
    with distributed.joined():
        value = torch.ones(2)
        assert distributed.size() == 1
        assert distributed.leads()
        assert distributed.total(value) is value
        assert distributed.gathered(value) == [value]
        assert list(range(3))[distributed.own(3)] == [0, 1, 2]
