from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from pixelcluster.errors import PixelClusterError
from pixelcluster.metrics.matching import Confusion
from pixelcluster.segmenting.predict import label_image
from pixelcluster.segmenting.reader import Reader
from pixelcluster.training.run import fit_model, prepare
from tests.synthetic import settings, textures

CPU = torch.device("cpu")


@pytest.mark.parametrize("latent_channels", [4, 0])
def test_planted_textures_are_recovered_on_new_images(latent_channels) -> None:
    images, labels = textures(9)
    model = fit_model(images[:6], settings(generator={"latent_channels": latent_channels}), device=CPU)
    confusion = Confusion(3, 3)
    for image, label in zip(images, labels, strict=True):
        confusion.update(label_image(Reader(model, "exact", 0, CPU), image)[0], label)
    assert confusion.acc > 0.9
    assert model.student is None
    assert len(model.history) == 8


def test_masked_pixels_play_no_part() -> None:
    images, _ = textures(2, side=64)
    masks, runs = [np.ones((64, 64), dtype=bool) for _ in images], []
    masks[0][16:40] = False
    for fill in (0.0, 1.0):
        changed = [image.copy() for image in images]
        changed[0][24:32] = fill  # far enough inside for rgb, which sees one cell
        config = settings(targets={"stack": "rgb"}, training={"epochs": 2})
        runs.append(fit_model(changed, config, masks=masks, device=CPU))
    assert runs[0].history == runs[1].history
    assert torch.equal(runs[0].generator.heads, runs[1].generator.heads)


def test_prepare_puts_image_mask_and_colours_on_one_grid() -> None:
    images, _ = textures(1, side=50)
    tensor = torch.from_numpy(images[0]).permute(2, 0, 1)
    mask = torch.ones(50, 50, dtype=torch.bool)
    mask[:8] = False
    (ready,) = prepare([torch.zeros(12, 13, 13)], [tensor], [mask], 4)
    assert ready.targets.shape == (12, 13, 13)
    assert ready.guide.shape == (3, 13, 13)
    assert ready.mask.sum() == 13 * 11


def test_the_configuration_keeps_the_number_found() -> None:
    images, _ = textures(2, side=48)
    config = settings(n_clusters="auto", training={"max_clusters": 4, "epochs": 1})
    model = fit_model(images, config, device=CPU)
    assert model.config.n_clusters == model.generator.n_clusters == model.prior.n_clusters


def test_a_spent_deadline_still_gives_a_model() -> None:
    images, _ = textures(2, side=48)
    model = fit_model(images, settings(), device=CPU, deadline=time.monotonic() - 1)
    found, _ = label_image(Reader(model, "exact", 0, CPU), images[0])
    assert found.shape == (48, 48)


def test_progress_numbers_the_steps_of_the_whole_run() -> None:
    """As its checkpoints do, through all starts and the student."""
    images, _ = textures(3, side=48)
    student = {"enabled": True, "pretrained": False, "steps": 2, "views": 1, "batch_size": 2}
    training = {"epochs": 2, "restarts": 2, "batch_size": 2}
    states: list[dict[str, object]] = []
    fit_model(images, settings(student=student, training=training), device=CPU, progress=states.append)
    steps = [state["step"] for state in states if "step" in state]
    assert sorted({*steps}) == [*range(1, 11)]  # 2 starts of 2 epochs of 2 batches, then 2 of the student
    starts = [state for state in states if "start" in state]
    assert starts[-1]["seconds_left"] == 0
    assert {state.get("left_of", "the starts") for state in starts} == {"the starts"}
    assert states[-1]["phase"] == "teaching the student"
    assert (states[-1]["share"], states[-1]["left_of"]) == (1, "")


def test_problems_are_named() -> None:
    with pytest.raises(PixelClusterError, match="no images"):
        fit_model([], settings(), device=CPU)
    with pytest.raises(PixelClusterError, match="40 clusters wanted of 4 distinct label cells"):
        fit_model(textures(1, side=8)[0], settings(n_clusters=40), device=CPU)
    images, _ = textures(2, side=16)
    with pytest.raises(PixelClusterError, match="mask"):
        fit_model(images, settings(), masks=[np.zeros((16, 16), dtype=bool)] * 2, device=CPU)
