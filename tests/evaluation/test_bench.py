from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelcluster.config_file import parse_config
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation import bench_images, bench_memory, bench_process
from pixelcluster.evaluation.bench_images import fast_section, fit_growth, scaling_section
from pixelcluster.evaluation.bench_kernels import gibbs_section, langevin_section
from pixelcluster.evaluation.bench_memory import memory_section
from pixelcluster.evaluation.bench_process import segment_section
from pixelcluster.evaluation.bench_rows import KernelSize, Options, Row, median_times, table

MODEL = parse_config(
    {
        "n_clusters": 2,
        "targets": {"stack": "rgb"},
        "generator": {"width": 4},
        "training": {"restarts": 1, "epochs": 1},
        "student": {"pretrained": False, "steps": 1, "views": 1, "batch_size": 2},
    }
)


@pytest.fixture
def options(photo) -> Options:
    return Options(
        1,
        torch.get_num_threads(),
        photo("sample.png"),
        kernels=KernelSize(2, 3, 8, (2, 4)),
        photo=(96, 128),
        sides=(64, 96, 128),
        large_side=80,
    )


@pytest.fixture
def tiny_model(monkeypatch) -> None:
    real = bench_images.load_or_train
    for module in (bench_images, bench_memory):
        monkeypatch.setattr(module, "load_or_train", lambda options: real(options, MODEL))


def test_medians_are_of_the_timed_calls() -> None:
    calls = []
    times = median_times(3, {"one": lambda: calls.append(1), "two": lambda: calls.append(2)})
    assert calls == [1, 2] * 4
    assert set(times) == {"one", "two"}
    median_times(2, {"three": lambda: calls.append(3)}, warm_up=False)
    assert calls[8:] == [3, 3]


def test_a_row_says_whether_the_limit_is_kept() -> None:
    rows = [Row("a", "b", value, "s", limit) for value, limit in ((1.0, 1.0), (1.1, 1.0), (5.0, None))]
    assert [row.met for row in rows] == [True, False, None]
    assert [line.split("|")[6].strip() for line in table(rows).splitlines()[2:]] == ["yes", "NO", ""]


def test_kernels_have_a_limit_on_their_ratio(options) -> None:
    rows = langevin_section(options) + gibbs_section(options)
    limits = {(row.measure, row.unit): row.limit for row in rows if row.limit is not None}
    assert limits == {
        ("step, K = 2", "x trunk and output layer"): 1.3,
        ("step, K = 2", "x trunk alone"): 1.3,
        ("step, K = 4", "x trunk and output layer"): 1.3,
        ("step, K = 4", "x trunk alone"): 1.3,
        ("step, K = 4, isotropic noise", "x K = 2"): 2.0,
    }
    by_name = {(row.measure, row.unit): row.value for row in rows}
    ratio = by_name["step, K = 4, full noise", "ms"] / by_name["step, K = 2, full noise", "ms"]
    assert by_name["step, K = 4, full noise", "x K = 2"] == pytest.approx(ratio)


def test_segment_is_the_command_less_the_import(options, monkeypatch) -> None:
    commands = []
    monkeypatch.setattr(bench_process, "run", lambda command, threads: commands.append(command))
    command, torch_alone, difference = segment_section(options)
    assert difference.value == pytest.approx(command.value - torch_alone.value)
    assert difference.limit == 2.5
    assert [c[2] for c in commands] == ["pixelcluster", "import torch"] * 2


def test_memory_needs_full(options, tiny_model) -> None:
    assert memory_section(options) == []
    rows = memory_section(replace(options, full=True))
    assert [row.unit for row in rows] == ["GB", "s"] * 2
    alone, model = rows[0].value, rows[2].value
    assert 0.02 < alone < model < 5  # the model imports torch


def test_memory_counts_the_child_alone() -> None:
    ballast = np.ones(60_000_000)  # 480 MB that a child must not be charged for
    usage = bench_process.run([sys.executable, "-c", "print(1)"], 1)
    assert usage.peak < ballast.nbytes / 4


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(PixelClusterError, match=r"-c 1/0 failed \(ZeroDivisionError: .*\)"):
        bench_process.run([sys.executable, "-c", "1/0"], 1)


def test_a_photograph_is_timed_in_both_modes(options, tiny_model) -> None:
    fast, exact = fast_section(options)
    assert (fast.limit, exact.limit) == (0.2, None)
    assert min(fast.value, exact.value) > 0
    assert "rgb" in fast.note


def test_a_given_model_is_the_one_that_is_timed(options, tiny_model, tmp_path: Path) -> None:
    bench_images.load_or_train(options).save(tmp_path / "model")
    loaded = bench_images.load_or_train(replace(options, model=tmp_path / "model"))
    assert loaded.model_.config.targets.stack == "rgb"
    with pytest.raises(PixelClusterError, match="is no model folder"):
        bench_images.load_or_train(replace(options, model=tmp_path / "none"))


def test_scaling_has_a_row_a_size_and_a_fit(options, tiny_model) -> None:
    rows = scaling_section(options)
    assert len(rows) == 2 * (3 + 1)
    assert [row.limit for row in rows] == [None, None, None, 1.1] * 2
    assert "R^2" in rows[3].note


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_the_fit_finds_the_exponent(exponent: float) -> None:
    pixels = [4**i for i in range(8, 13)]
    growth = fit_growth(pixels, [3e-6 * n**exponent for n in pixels])
    assert growth.exponent == pytest.approx(exponent)
    assert (growth.r_squared > 0.9999) == (exponent == 1.0)
    if exponent == 1.0:
        assert growth.seconds_per_megapixel == pytest.approx(3.0)


def test_a_constant_start_does_not_hide_a_linear_growth() -> None:
    pixels = [256**2, 512**2, 1024**2, 2048**2, 4096**2]
    growth = fit_growth(pixels, [0.5 + 1e-6 * n for n in pixels])
    assert growth.r_squared == pytest.approx(1)
    assert growth.seconds_per_megapixel == pytest.approx(1)
    assert 0.7 < growth.exponent < 1
