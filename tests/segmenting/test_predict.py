from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pixelcluster.metrics.matching import Confusion
from pixelcluster.sampling.noise import Streams
from pixelcluster.segmenting import blend, chains, predict
from pixelcluster.segmenting.blend import blended_rows
from pixelcluster.segmenting.predict import label_image, predict_log_probabilities
from pixelcluster.segmenting.reader import Reader
from pixelcluster.training.run import fit_model
from tests.synthetic import settings, textures

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def native():
    """A model for native resolution; at temperature 0 its labels are a function of the image."""
    images, _ = textures(6)
    config = settings(targets={"image_side": None}, sampler={"inference_rounds": 4}, prior={"rows": 0})
    model = fit_model(images, config, device=CPU)
    cold = config.model_copy(update={"sampler": config.sampler.model_copy(update={"temperature": 0.0})})
    return replace(model, config=cold)


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(predict, "TILE", 96)
    monkeypatch.setattr(predict, "OVERLAP", 32)


def tiled(model, image, stride):
    """The blended label grid of an image, in tiles of 96 pixels."""

    def answer(rows, columns):
        return predict.tile_log_probabilities(
            Reader(model, "exact", 0, CPU), image[rows, columns], rows, columns, image.shape[0]
        )

    strips = blended_rows(*image.shape[:2], answer, stride=stride, tile=96, overlap=32)
    return torch.cat([*strips], 1)


def label(model, image, mode="exact", **options):
    return label_image(Reader(model, mode, 0, CPU), image, **options)


def test_tiles_agree_with_the_whole(native, small_tiles, monkeypatch) -> None:
    image, truth = (part[0] for part in textures(1, side=224, seed=5))
    tiled, _ = label(native, image)
    monkeypatch.setattr(predict, "TILE", 1000)
    whole, _ = label(native, image)
    assert (tiled == whole).mean() > 0.97
    confusion = Confusion(3, 3)
    confusion.update(tiled, truth)
    assert confusion.acc > 0.9  # ids mean the same in every tile


@pytest.mark.parametrize("stride", [1, 3, 4, 7])
@pytest.mark.parametrize("shape", [(97, 96), (160, 161), (1, 300), (33, 225)])
def test_every_pixel_is_covered_whatever_the_size(native, small_tiles, monkeypatch, stride, shape) -> None:
    """Each tile answers with its own place in the image: blending gives the place back."""
    image = np.zeros((*shape, 3), dtype=np.float32)
    image[..., 0] = np.arange(shape[0])[:, None] / 512
    image[..., 1] = np.arange(shape[1]) / 512

    def place(reader, tile, **_):
        pixels = torch.from_numpy(np.ascontiguousarray(tile)).permute(2, 0, 1)[None]
        return predict.to_grid(pixels, stride)[0]

    monkeypatch.setattr(predict, "predict_log_probabilities", place)
    monkeypatch.setattr(native.stack, "label_stride", stride)
    blended = tiled(native, image, stride)
    whole = place(None, image)
    # The last cell of a tile may hold fewer pixels than the cell of the whole image.
    torch.testing.assert_close(blended, whole, atol=stride / 512, rtol=0)


def test_tiles_have_noise_of_their_own(native, small_tiles, monkeypatch) -> None:
    seen = []

    def streams(seed, ids, *rest, **options):
        seen.extend(ids)
        return Streams(seed, ids, *rest, **options)

    monkeypatch.setattr(chains, "Streams", streams)
    label(native, np.zeros((100, 230, 3), dtype=np.float32), mode="exact")
    assert len(set(seen)) == len(seen) > 1


def test_rows_of_a_tile_keep_their_place_in_the_image(native, small_tiles, monkeypatch) -> None:
    rows = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    model = replace(native, prior=replace(native.prior, rows=rows))
    seen = []

    def unary(reader, tile, **_):
        position = reader.model.prior.position((-(-tile.shape[0] // 4), -(-tile.shape[1] // 4)))
        seen.append(position)
        return position.expand(-1, -1, -(-tile.shape[1] // 4))

    monkeypatch.setattr(predict, "predict_log_probabilities", unary)
    blended = tiled(model, np.zeros((200, 40, 3), dtype=np.float32), 4)
    assert len(seen) > 1
    torch.testing.assert_close(
        blended, model.prior.position((50, 10)).expand(-1, -1, 10), atol=1e-4, rtol=1e-4
    )


def test_shrunk_images_are_labelled_at_their_own_size() -> None:
    images, truth = textures(3)
    model = fit_model(images, settings(targets={"image_side": 96}), device=CPU)
    large = images[0].repeat(3, 0).repeat(3, 1)[:, :281]
    labels, soft = label(model, large, probabilities=True)
    assert labels.shape == (288, 281)
    assert labels.dtype == np.int32
    np.testing.assert_allclose(soft.sum(0), 1, atol=1e-4)
    np.testing.assert_array_equal(soft.argmax(0), labels)
    confusion = Confusion(3, 3)
    confusion.update(labels, truth[0].repeat(3, 0).repeat(3, 1)[:, :281])
    assert confusion.acc > 0.85


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 5), (17, 31)])
def test_any_shape(native, shape) -> None:
    image = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    labels, soft = label(native, image, probabilities=True)
    assert labels.shape == shape
    assert soft.shape == (3, *shape)
    assert np.isfinite(soft).all()


def test_memory_does_not_grow_with_clusters_times_pixels(native, monkeypatch) -> None:
    monkeypatch.setattr(blend, "_STRIP_PIXELS", 1000)
    image = np.random.default_rng(0).random((80, 100, 3), dtype=np.float32)
    strips = predict.pixel_log_probabilities(Reader(native, "exact", 0, CPU), image)
    assert max(values.numel() for _, values in strips) <= 3 * 1000


class Half(nn.Module):
    """A student that knows left from right by the image's red."""

    n_clusters = 3

    def forward(self, images):
        red = images[:, :1] > 0.5
        return torch.cat([red * 9.0, ~red * 9.0, torch.zeros_like(images[:, :1])], 1)


def test_fast_mode_asks_the_student_alone_and_tiles_it(native, small_tiles) -> None:
    model = replace(native, student=Half())
    image = np.zeros((100, 230, 3), dtype=np.float32)
    image[:, :120, 0] = 1
    labels, _ = label(model, image, mode="fast")
    assert (labels == np.where(image[..., 0] > 0.5, 0, 1)).mean() > 0.99  # but for the cell at the edge


def test_masked_pixels_are_no_evidence(native) -> None:
    image = textures(1, side=64, seed=3)[0][0]
    mask = np.ones((64, 64), dtype=bool)
    mask[:, 40:] = False
    logs = [
        predict_log_probabilities(Reader(native, "exact", 0, CPU), image, mask=one) for one in (mask, None)
    ]
    assert logs[0].shape == (3, 16, 16)
    assert not torch.allclose(logs[0][:, :, 12:], logs[1][:, :, 12:], atol=0.1)


@pytest.mark.parametrize("side", [None, 96])
def test_known_labels_stay_and_their_neighbours_follow(native, side) -> None:
    image = textures(1, side=128, seed=3)[0][0]
    targets = native.config.targets.model_copy(update={"image_side": side})
    strong = replace(native.prior, potts_weight=3.0)
    model = replace(native, prior=strong, config=native.config.model_copy(update={"targets": targets}))
    before, _ = label(model, image)
    other = (int(before[64, 64]) + 1) % 3
    scribbles = np.full(image.shape[:2], -1, np.int32)
    scribbles[40:88:2, 40:88] = other
    after, soft = label(model, image, scribbles=scribbles, probabilities=True)
    known = scribbles >= 0
    assert (after[known] == other).all()
    np.testing.assert_allclose(soft[other][known], 1, atol=1e-5)
    free = ~known & (np.add.outer(np.arange(128), np.arange(128)) >= 0)
    free[:44], free[84:], free[:, :44], free[:, 84:] = False, False, False, False
    assert (after[free] == other).mean() > 0.99 > (before[free] == other).mean()


def test_a_student_alone_cannot_follow_so_the_chains_do(native) -> None:
    image = textures(1, side=64, seed=3)[0][0]
    scribbles = np.full((64, 64), -1, np.int32)
    scribbles[30:34, 30:34] = 2
    asked = replace(native, student=Half())
    logs = [
        predict_log_probabilities(Reader(asked, "fast", 0, CPU), image, scribbles=marks)
        for marks in (None, scribbles)
    ]
    assert logs[0].shape == (3, 64, 64)
    assert logs[1].shape == (3, 16, 16)
    assert logs[1][2, 8, 8] == 0
