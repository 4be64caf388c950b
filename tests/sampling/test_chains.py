from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from pixelcluster.errors import PixelClusterError
from pixelcluster.sampling.chains import Chains


def test_what_is_put_comes_back_in_any_order() -> None:
    chains = Chains()
    z, labels = torch.randn(3, 2, 1, 1), torch.randint(300, (3, 4, 5))
    chains.put(["a", "b", 7], z, labels)
    got_z, got_labels, visits = chains.get([7, "a"])
    assert torch.equal(got_z, z[[2, 0]])
    assert torch.equal(got_labels, labels[[2, 0]])
    assert got_labels.dtype == torch.int64
    assert visits == [0, 0]
    assert len(chains) == 3
    assert "7" in chains
    assert "c" not in chains


def test_visits_are_counted_by_image() -> None:
    chains = Chains()
    z, labels = torch.zeros(2, 1, 1, 1), torch.zeros(2, 2, 2, dtype=torch.int64)
    chains.put([0, 1], z, labels)
    chains.put([1], z[:1] + 1, labels[:1] + 1)
    assert chains.get([0, 1])[2] == [0, 1]
    assert chains.get([1])[1].eq(1).all()


def test_a_direction_is_kept_until_a_visit_leaves_none() -> None:
    chains = Chains()
    z, labels = torch.zeros(2, 1, 2, 2), torch.zeros(2, 2, 2, dtype=torch.int64)
    chains.put([0, 1], z, labels)
    assert chains.directions([0, 1]).eq(0).all()
    chains.put([0, 1], z, labels, torch.stack([z[0] + 1, z[1] + 2]))
    assert chains.directions([1, 0])[:, 0, 0, 0].tolist() == [2, 1]
    restored = Chains()
    restored.load_state_dict(chains.state_dict())
    assert torch.equal(restored.directions([0, 1]), chains.directions([0, 1]))
    chains.put([1], z[:1], labels[:1])
    assert chains.directions([0, 1]).flatten(1).any(1).tolist() == [True, False]


def test_stored_chains_do_not_alias_the_batch() -> None:
    chains = Chains()
    z = torch.zeros(1, 1, 1, 1)
    chains.put([0], z, torch.zeros(1, 2, 2, dtype=torch.int16))
    z += 1
    assert chains.get([0])[0].eq(0).all()


def test_state_survives_safetensors(tmp_path) -> None:
    chains = Chains()
    for name, size in (("a/b.png", 3), ("ü", 5)):
        chains.put([name], torch.randn(1, 2, 1, 1), torch.randint(9, (1, size, size)))
    save_file(chains.state_dict(), tmp_path / "chains.safetensors")
    restored = Chains()
    restored.load_state_dict(load_file(tmp_path / "chains.safetensors"))
    assert len(restored) == 2
    for name in ("a/b.png", "ü"):
        for ours, theirs in zip(chains.get([name])[:2], restored.get([name])[:2], strict=True):
            assert torch.equal(ours, theirs)
    assert restored.state_dict()["label_map/ü"].dtype == torch.int16


def test_missing_parts_and_images_are_named() -> None:
    chains = Chains()
    with pytest.raises(PixelClusterError, match="'a'"):
        chains.get(["a"])
    with pytest.raises(PixelClusterError, match="z/a"):
        chains.load_state_dict({"steps/a": torch.tensor(0)})
