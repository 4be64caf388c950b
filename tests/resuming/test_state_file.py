from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from pixelcluster.errors import PixelClusterError
from pixelcluster.resuming.state_file import (
    State,
    load_optimiser,
    optimiser_state,
    read_state,
    write_state,
)
from pixelcluster.torture.repeat import digest


def test_a_state_comes_back_with_its_types_and_its_nesting(tmp_path: Path) -> None:
    state: State = {
        "none": None,
        "nested": {"none": None, "deep": [{"list": [None, [1, 2.5, "text"], {}]}, []]},
        "facts": [True, False, -3, 0.1, 1e-300, 2**60, "", "é\n/$"],
        "tensors": [torch.arange(6).view(2, 3), None, {"a/b": torch.tensor(-torch.inf).double()}],
        "bool": torch.tensor([True, False]),
        "half": torch.tensor([1.5, torch.nan]).half(),
        "empty": torch.zeros(0, 4, dtype=torch.uint8),
    }
    write_state(tmp_path / "s", state)
    found = read_state(tmp_path / "s")
    for part, own in (("nested", found["nested"]), ("facts", found["facts"]), ("none", found["none"])):
        assert own == state[part]
    assert [type(value) for value in found["facts"]] == [type(value) for value in state["facts"]]
    assert found["tensors"][1] is None
    pairs = [(state["tensors"][0], found["tensors"][0])]
    pairs += [(state["tensors"][2]["a/b"], found["tensors"][2]["a/b"])]
    pairs += [(state[name], found[name]) for name in ("bool", "half", "empty")]
    for wanted, tensor in pairs:
        assert tensor.dtype == wanted.dtype
        torch.testing.assert_close(tensor, wanted, rtol=0, atol=0, equal_nan=True)
    assert digest(found) == digest(state)


def test_any_layout_is_read_as_plain_memory_of_its_own(tmp_path: Path) -> None:
    field = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    wide = torch.zeros(4, 6)
    state = {
        "last": field.contiguous(memory_format=torch.channels_last),
        "turned": field.permute(3, 0, 2, 1),
        "part": wide[:, 1:3],
        "gradient": field.clone().requires_grad_(),
    }
    write_state(tmp_path / "s", {**state, "pair": (1, 2), "odd": torch.ones(3, dtype=torch.uint8)})
    found = read_state(tmp_path / "s")
    assert found["pair"] == [1, 2]
    for name, value in state.items():
        assert torch.equal(found[name], value)
        assert found[name].is_contiguous()
        assert not found[name].requires_grad
        assert found[name].data_ptr() % 64 == 0  # kernels round by alignment; torch's own memory has this
    found["part"].fill_(7)
    assert torch.equal(read_state(tmp_path / "s")["part"], wide[:, 1:3])
    with safe_open(tmp_path / "s", framework="pt") as file:
        assert sorted(file.keys()) == ["/gradient", "/last", "/odd", "/part", "/turned"]


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    write_state(tmp_path / "s", {"step": 1})
    for wrong in (float("nan"), float("inf")):  # JSON has neither
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_state(tmp_path / "s", {"step": wrong})
    assert read_state(tmp_path / "s") == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    with pytest.raises(PixelClusterError, match="no such folder"):
        write_state(tmp_path / "nowhere" / "s", {"step": 1})


def test_a_file_cut_anywhere_ends_in_a_line(tmp_path: Path) -> None:
    write_state(tmp_path / "s", {"a": torch.arange(9), "b": None})
    whole = (tmp_path / "s").read_bytes()
    for length in (0, 4, 8, 40, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(PixelClusterError, match="cut: is no checkpoint that can be read") as caught:
            read_state(tmp_path / "cut")
        assert "\n" not in str(caught.value)
    with pytest.raises(PixelClusterError, match="no checkpoint that can be read"):
        read_state(tmp_path / "missing")


def learner() -> tuple[torch.nn.Sequential, torch.optim.Adam]:
    """Return a network in channels_last memory with a head that has no gradient, and its optimiser."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3))
    network.to(memory_format=torch.channels_last)
    return network, torch.optim.Adam([*network.parameters(), torch.nn.Parameter(torch.zeros(2))], lr=0.01)


def step(network: torch.nn.Sequential, optimiser: torch.optim.Adam) -> None:
    """Take a step on fixed images."""
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    optimiser.zero_grad()
    network(images).square().mean().backward()
    optimiser.step()


def test_an_optimiser_goes_on_bit_for_bit_in_the_memory_format_of_its_parameters(tmp_path: Path) -> None:
    network, optimiser = learner()
    step(network, optimiser)
    optimiser.param_groups[0]["lr"] = 0.003
    write_state(tmp_path / "s", {"optimiser": optimiser_state(optimiser), "weights": network.state_dict()})
    saved = read_state(tmp_path / "s")
    other, again = learner()
    other.load_state_dict(saved["weights"])
    load_optimiser(again, saved["optimiser"])
    assert (again.param_groups[0]["lr"], again.param_groups[0]["betas"]) == (0.003, (0.9, 0.999))
    weight = other[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    for name in ("exp_avg", "exp_avg_sq"):
        assert again.state[weight][name].stride() == weight.stride()
    for _ in range(2):
        step(network, optimiser)
        step(other, again)
    for mine, its in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_moments_of_another_optimiser_or_network_are_refused() -> None:
    network, optimiser = learner()
    step(network, optimiser)
    good = optimiser_state(optimiser)
    assert good["moments"][-1] == {}  # it had no gradient
    for change, problem in (
        (lambda state: state["moments"][0].update(exp_avg=torch.zeros(5)), "has shape"),
        (lambda state: state["moments"][0].pop("step"), "not Adam's"),
        (lambda state: state["moments"].pop(), "shorter"),
        (lambda state: state["groups"].append(state["groups"][0]), "longer"),
    ):
        state = copy.deepcopy(good)
        change(state)
        with pytest.raises(ValueError, match=problem):
            load_optimiser(learner()[1], state)
