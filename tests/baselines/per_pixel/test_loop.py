from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from pixelcluster.baselines.base import filled
from pixelcluster.baselines.per_pixel.co_occurrence import CoOccurrence
from pixelcluster.baselines.per_pixel.cvae import Cvae
from pixelcluster.baselines.per_pixel.deep_cluster import DeepCluster
from pixelcluster.baselines.per_pixel.iic import Iic
from pixelcluster.baselines.per_pixel.infoseg import InfoSeg
from pixelcluster.baselines.per_pixel.loop import Crops, as_tensor, flip
from pixelcluster.errors import PixelClusterError

TRAINED = pytest.mark.parametrize("kind", [CoOccurrence, Cvae, DeepCluster, Iic, InfoSeg])


def quick(kind, n_clusters=2, **changes):
    settings = {"steps": 3, "crop": 32, "batch_size": 4, "device": "cpu"}
    return kind(n_clusters, **{**settings, **changes})


def noise(*sizes):
    rng = np.random.default_rng(0)
    return [rng.random((*size, 3)).astype(np.float32) for size in sizes]


@TRAINED
def test_masked_pixels_have_no_influence(kind):
    images = noise((40, 52), (32, 32), (36, 40))
    masks = [np.random.default_rng(1).random(image.shape[:2]) < 0.7 for image in images]
    changed = [np.where(mask[..., None], image, 1 - image) for image, mask in zip(images, masks, strict=True)]
    one, two = (quick(kind).fit(own, masks) for own in (images, changed))
    assert one.losses_ == two.losses_
    assert np.array_equal(one.predict(images[0]), two.predict(images[0]))
    other = quick(kind).fit(changed)
    assert one.losses_ != other.losses_


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


@pytest.mark.parametrize("crop", [16, 40])
def test_a_crop_that_does_not_fit_the_network_is_refused(crop):
    with pytest.raises(PixelClusterError, match=f"crop is {crop} px; wanted a multiple of 16 from 32 up"):
        quick(Iic, crop=crop).fit(noise((40, 40)))


def test_a_loss_that_is_not_finite_ends_the_fit():
    with pytest.raises(PixelClusterError, match="loss is nan at step 1"):
        quick(Cvae).fit([np.full((40, 40, 3), np.nan, np.float32)])


def crops(images, masks=None, **changes):
    settings = {"size": 32, "batch_size": 6, "seed": 0, "device": torch.device("cpu")}
    return Crops(filled(images, masks), **{**settings, **changes})


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
