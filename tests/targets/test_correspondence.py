from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from pixelcluster import clock
from pixelcluster.errors import PixelClusterError
from pixelcluster.targets.correspondence import CorrespondenceStack, correspondence_loss, train_head

CPU = torch.device("cpu")


def images(n: int = 3) -> list[torch.Tensor]:
    return list(torch.rand(n, 3, 40, 32, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def stack() -> CorrespondenceStack:
    return CorrespondenceStack(8, scales=(1,), steps=3, n_components=4).fit(images())


def planted(n: int = 4) -> list[torch.Tensor]:
    """Features of n images, half of the cells near one of two directions each."""
    random = torch.Generator().manual_seed(0)
    centres = torch.eye(8)[:2].repeat_interleave(20, 0)
    return [centres + 0.3 * torch.randn(40, 8, generator=random) for _ in range(n)]


def test_the_loss_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    f, g, s, t = (rng.normal(size=(1, n, 5)) for n in (3, 4, 3, 4))

    def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)

    features, codes = cosine(f[0], g[0]), cosine(s[0], t[0])
    centred = features - features.mean(1, keepdims=True) + features.mean()
    wanted = -np.mean((centred - 0.2) * np.maximum(codes, 0))
    found = correspondence_loss(*(torch.from_numpy(value) for value in (f, g, s, t)), 0.2)
    assert float(found) == pytest.approx(wanted, abs=1e-12)


def test_codes_are_sharper_than_features() -> None:
    rows = planted()
    head, losses = train_head(rows, 150, seed=0, device=CPU)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])

    def contrast(values: torch.Tensor) -> float:
        cosines = torch.nn.functional.normalize(values, dim=1)
        own = cosines @ cosines.T
        return float(own[:20, :20].mean() - own[:20, 20:].mean())

    with torch.no_grad():
        assert contrast(head(rows[0])) > contrast(rows[0]) + 0.1


def test_same_seed_same_head_and_the_global_stream_is_left_alone() -> None:
    before = torch.get_rng_state()
    one, two, other = (train_head(planted(), 3, seed=seed, device=CPU)[0] for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.linear.weight, two.linear.weight)
    assert not torch.equal(one.linear.weight, other.linear.weight)


def test_targets_have_the_shape_and_scale_of_every_stack(stack: CorrespondenceStack) -> None:
    whole = stack(torch.stack(images()))
    assert whole.shape == (3, 4, 5, 4)
    assert whole.permute(1, 0, 2, 3).flatten(1).var(1).mean().item() == pytest.approx(1, rel=0.03)
    torch.testing.assert_close(stack(images()[0][None])[0], whole[0], atol=1e-3, rtol=1e-3)
    assert not any(parameter.requires_grad for parameter in stack.parameters())


def test_the_state_is_the_whole_stack(stack: CorrespondenceStack) -> None:
    other = CorrespondenceStack(8, scales=(1,), steps=3, n_components=4)
    other.load_state_dict(stack.state_dict())
    image = images()[0][None]
    assert torch.equal(other(image), stack(image))


def test_cells_outside_the_masks_are_left_out() -> None:
    mask = torch.ones(40, 32, dtype=torch.bool)
    whole = images(2)
    with_nothing, alone = (
        CorrespondenceStack(8, scales=(1,), steps=2, n_components=4).fit(own, masks=masks)
        for own, masks in ((whole, [mask, torch.zeros_like(mask)]), (whole[:1], [mask]))
    )
    assert torch.equal(with_nothing.matrix, alone.matrix)


def test_learning_ends_at_the_deadline_and_tells_how_far_it_is() -> None:
    phases: dict[object, list[float]] = {}

    def note(facts: Mapping[str, object]) -> None:
        share = facts["share"]
        assert isinstance(share, float)
        phases.setdefault(facts["phase"], []).append(share)

    CorrespondenceStack(8, scales=(1,), steps=5, n_components=4).fit_transform(images(2), progress=note)
    halves = [0.5, 1.0] * 2  # of the features alone, then of the codes
    assert phases["reading features"] == phases["computing targets"] == halves
    assert phases["learning correspondences"] == [0.2, 0.4, 0.6, 0.8, 1.0]
    phases.clear()
    late = CorrespondenceStack(8, scales=(1,), steps=5, n_components=4)
    late.fit_transform(images(2), deadline=clock.now(), progress=note)
    assert phases["learning correspondences"] == [0.2]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(PixelClusterError, match="1 step or more, got 0"):
        CorrespondenceStack(8, steps=0)
    with pytest.raises(PixelClusterError, match="no label cell is used"):
        CorrespondenceStack(8, scales=(1,), steps=1).fit(
            images(1), masks=[torch.zeros(40, 32, dtype=torch.bool)]
        )
