from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from pixelcluster.baselines.per_pixel.base import usable_images
from pixelcluster.baselines.per_pixel.co_occurrence import CoOccurrence
from pixelcluster.baselines.per_pixel.cvae import Cvae
from pixelcluster.baselines.per_pixel.deep_cluster import DeepCluster
from pixelcluster.baselines.per_pixel.iic import Iic
from pixelcluster.baselines.per_pixel.infoseg import InfoSeg
from pixelcluster.baselines.per_pixel.loop import Batch, Crops, flip
from pixelcluster.baselines.per_pixel.network import as_tensor
from pixelcluster.baselines.schedule import late_cosine
from pixelcluster.errors import PixelClusterError

TRAINED = pytest.mark.parametrize("kind", [CoOccurrence, Cvae, DeepCluster, Iic, InfoSeg])


def quick(kind, n_clusters=2, **changes):
    settings = {"steps": 3, "crop": 32, "batch_size": 4, "device": "cpu"}
    return kind(n_clusters, **{**settings, **changes})


def noise(*sizes):
    rng = np.random.default_rng(0)
    return [rng.random((*size, 3)).astype(np.float32) for size in sizes]


@TRAINED
@torch.no_grad()
def test_masked_cells_do_not_enter_the_loss(kind):
    """What lies farther from the used cells than a network sees may be anything."""
    (wide,) = noise((32, 320))
    changed = np.where(np.arange(320)[:, None] < 256, wide, 1 - wide * wide)
    with torch.enable_grad():
        method = quick(kind).fit([wide[:, :32]] * 2)
    method.network_.eval()
    for parameter in method.network_.parameters():
        parameter.mul_(1.5)  # three steps leave all cells alike, and then no cell has any influence
    cells = torch.zeros(2, 8, 80)
    cells[..., :16] = 1
    losses = []
    for image in (wide, changed):
        images = as_tensor([image, 0.5 * image])
        batch = Batch(images, images, torch.tensor([False, False]), cells)
        for own in (batch, batch._replace(cells=1 - cells)):
            if kind is Cvae:
                method.noise_.manual_seed(0)
            losses.append(float(method.loss(own)))
    assert losses[2] == pytest.approx(losses[0], rel=1e-5)
    assert losses[3] != pytest.approx(losses[1], rel=1e-5)


@TRAINED
def test_the_seed_decides_and_torch_is_left_alone(kind):
    images = noise((40, 40), (40, 40))
    before = torch.get_rng_state()
    fits = [quick(kind, seed=seed).fit(images) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert fits[0].losses_ == fits[1].losses_ != fits[2].losses_
    assert np.array_equal(fits[0].predict(images[0]), fits[1].predict(images[0]))


@TRAINED
def test_sizes_may_differ(kind):
    images = noise((17, 33), (70, 41), (64, 64))
    method = quick(kind, 3).fit(images)
    for image in noise((1, 1), (17, 33), (70, 41)):
        label_map = method.predict(image)
        assert label_map.shape == image.shape[:2]
        assert label_map.dtype == np.int32
        assert 0 <= label_map.min() <= label_map.max() < 3


@TRAINED
def test_infrared_is_learned_from(kind):
    infrared = noise((40, 52), (36, 40))
    images = [np.concatenate([own, own[..., :1]], axis=2) for own in noise((40, 52), (36, 40))]
    changed = [
        np.concatenate([image[..., :3], 1 - own[..., :1]], axis=2)
        for image, own in zip(images, infrared, strict=True)
    ]
    one, two = (quick(kind).fit(own) for own in (images, changed))
    assert one.losses_ != two.losses_
    assert one.predict(images[0]).shape == (40, 52)
    with pytest.raises(PixelClusterError, match="images have 3 channels, wanted 4"):
        one.predict(infrared[0])


@TRAINED
def test_the_budget_is_kept(kind):
    images = noise((40, 40), (40, 40))
    assert len(quick(kind, minutes=0).fit(images).losses_) == 1
    start = time.monotonic()
    method = quick(kind, minutes=0.5 / 60, steps=100_000).fit(images)
    assert time.monotonic() - start < 5
    assert len(method.losses_) > 1


@TRAINED
def test_the_learning_rate_falls_at_the_end_of_all_steps(kind, monkeypatch):
    rates = []
    step = torch.optim.Adam.step

    def watched(self):
        rates.append(self.param_groups[0]["lr"])
        return step(self)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    quick(kind, steps=10, learning_rate=0.01).fit(noise((40, 40), (40, 40)))
    assert rates == pytest.approx([0.01 * late_cosine(share / 10) for share in range(10)])


@pytest.mark.parametrize("crop", [16, 40])
def test_a_crop_that_does_not_fit_the_network_is_refused(crop):
    with pytest.raises(PixelClusterError, match=f"crop is {crop} px; wanted a multiple of 16 from 32 up"):
        quick(Iic, crop=crop).fit(noise((40, 40)))


def test_a_loss_that_is_not_finite_ends_the_fit():
    with pytest.raises(PixelClusterError, match="loss is nan at step 1"):
        quick(Cvae).fit([np.full((40, 40, 3), np.nan, np.float32)])


def crops(images, masks=None, **changes):
    settings = {"size": 32, "batch_size": 6, "seed": 0, "device": torch.device("cpu")}
    return Crops(usable_images(images, masks), **{**settings, **changes})


def test_every_image_comes_once_before_one_comes_again():
    images = [np.full((32, 32, 3), level, np.float32) for level in (0.1, 0.2, 0.3)]
    means = crops(images).draw().images.mean((1, 2, 3))
    for half in means.split(3):
        assert torch.allclose(half.sort().values, torch.tensor([0.1, 0.2, 0.3]))


def test_views_are_the_same_places_in_other_colours():
    steps = np.linspace(0, 1, 32, dtype=np.float32)
    batch = crops([np.repeat(np.tile(steps, (32, 1))[..., None], 3, axis=2)], batch_size=16).draw()
    assert 0 < int(batch.flipped.sum()) < 16
    back = flip(batch.views, batch.flipped).mean(1)
    assert (back[:, :, -1] > back[:, :, 0]).all()
    assert not torch.allclose(back, batch.images.mean(1), atol=0.05)


def test_views_leave_infrared_as_it_is():
    image = np.random.default_rng(0).random((32, 32, 4)).astype(np.float32)
    batch = crops([image], batch_size=16).draw()
    back = flip(batch.views, batch.flipped)
    assert torch.equal(back[:, 3:], batch.images[:, 3:])
    assert not torch.equal(back[:, :3], batch.images[:, :3])


def test_padding_and_masks_are_left_out_of_the_cells():
    mask = np.ones((20, 32), bool)
    mask[:, 16:] = False
    batch = crops([np.ones((20, 32, 3), np.float32)], [mask], batch_size=1).draw()
    assert batch.images.shape == (1, 3, 32, 32)
    # 20 rows in the middle of 32: rows 6 to 25 hold the image, so cell 1 is half used.
    wanted = torch.zeros(8, 8)
    wanted[1:6, :4] = 1
    wanted[6, :4] = batch.cells[0, 6, 0]
    assert torch.equal(batch.cells[0], wanted)


def test_flipping_twice_gives_the_values_back():
    values, which = torch.rand(4, 2, 3, 5), torch.tensor([True, False, True, False])
    turned = flip(values, which)
    assert torch.equal(turned[0], values[0].flip(-1))
    assert torch.equal(turned[1], values[1])
    assert torch.equal(flip(turned, which), values)
    assert as_tensor([np.zeros((4, 6, 3), np.float32)] * 2).shape == (2, 3, 4, 6)
