import torch
from torch import nn

from pixelcluster.seeding import seeded


def test_the_same_weights_again_and_the_global_stream_as_it_was(monkeypatch):
    seeded_gpus = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded_gpus.append)
    before = torch.get_rng_state()
    weights = []
    for seed in (3, 3, 4):
        with seeded(seed):
            weights.append(nn.Linear(4, 5).weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)
    assert seeded_gpus == []
