from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.evaluation.flicker import flicker, flicker_along, planted_clip
from pixelcluster.io.video import Frame, open_video
from pixelcluster.metrics.matching import Confusion
from pixelcluster.segmenting import chains
from pixelcluster.segmenting.rasters.scene import fit_mixture
from pixelcluster.segmenting.reader import Reader
from pixelcluster.segmenting.videos import video as video_module
from pixelcluster.segmenting.videos.video import (
    VideoLabels,
    fit_clip,
    label_alone,
    label_with_model,
    write_video_outputs,
)
from pixelcluster.training.run import fit_model
from tests.disks import contents, fill_up
from tests.synthetic import settings
from tests.videos import write_video

pytest.importorskip("av")
CPU = torch.device("cpu")


def mixture(frames: list[Frame], n_clusters: int = 4):
    pixels = np.concatenate([frame.image[::2, ::2].reshape(-1, 3) for frame in frames])
    return fit_mixture(pixels.astype(np.float32) / 255, n_clusters)


def accuracy(labels: np.ndarray, truth: np.ndarray) -> float:
    confusion = Confusion(4, 4)
    confusion.update(labels, truth)
    return confusion.acc


@pytest.mark.parametrize(("noise", "speed"), [(16, 4), (24, 1)])
def test_the_dynamic_prior_lowers_flicker_and_keeps_the_labels(noise: float, speed: int) -> None:
    frames, truth = planted_clip(noise=noise, speed=speed)
    scene = mixture(frames)
    alone, dynamic = (
        np.stack([frame.labels for frame in label_alone(scene, frames, dynamic=use)]) for use in (False, True)
    )
    assert flicker(dynamic, truth) < 0.5 * flicker(alone, truth)
    assert flicker_along(dynamic, truth, speed) < flicker_along(alone, truth, speed) + 0.01
    assert accuracy(dynamic, truth) >= accuracy(alone, truth)


def test_windows_leave_no_trace(monkeypatch) -> None:
    frames, _ = planted_clip(3, 70, 90)
    scene = mixture(frames)
    whole = [frame.labels for frame in label_alone(scene, frames)]
    monkeypatch.setattr(video_module, "_WINDOW", 32)
    np.testing.assert_array_equal([frame.labels for frame in label_alone(scene, frames)], whole)


def test_a_cut_is_forgotten() -> None:
    (first, *_), _ = planted_clip(1)
    turned = Frame(np.ascontiguousarray(first.image[::-1, ::-1]), 1)
    scene = mixture([first, turned])
    fresh = [frame.labels for frame in label_alone(scene, [turned])]
    after = [frame.labels for frame in label_alone(scene, [first, turned])]
    assert (fresh[0] != after[1]).mean() < 0.005


def test_frames_are_let_go() -> None:
    alive: list[weakref.ref] = []

    def frames():
        for frame in planted_clip(6, 32, 48)[0]:
            image = frame.image.copy()
            alive.append(weakref.ref(image))
            yield Frame(image, frame.time)
            del image, frame
            gc.collect()
            assert sum(reference() is not None for reference in alive) <= 2

    scene = mixture(planted_clip(6, 32, 48)[0])
    assert sum(1 for _ in label_alone(scene, frames())) == 6


def test_one_mixture_for_the_whole_clip(tmp_path, monkeypatch) -> None:
    frames, truth = planted_clip(9, noise=4)
    write_video(tmp_path / "v.mp4", [frame.image for frame in frames])
    monkeypatch.setattr(video_module, "_SAMPLED_FRAMES", 4)
    with open_video(tmp_path / "v.mp4") as video:
        scene, n_frames = fit_clip(video, 4, seed=0)
    assert (scene.n_clusters, n_frames) == (4, 9)
    with open_video(tmp_path / "v.mp4") as video:
        labels = np.stack([frame.labels for frame in label_alone(scene, video.frames)])
    assert accuracy(labels, truth) > 0.97
    with open_video(tmp_path / "v.mp4") as video:
        assert 2 <= fit_clip(video, None, seed=0)[0].n_clusters <= 20


def test_fewer_colours_than_clusters(tmp_path) -> None:
    write_video(tmp_path / "v.mp4", [np.full((32, 32, 3), 90, np.uint8)] * 2)
    with open_video(tmp_path / "v.mp4") as video, pytest.warns(PixelClusterWarning, match="asked for 9"):
        assert fit_clip(video, 9, seed=0)[0].n_clusters < 9


def test_nothing_is_left_when_a_frame_is_damaged(tmp_path) -> None:
    frames, _ = planted_clip(3, 32, 48)
    write_video(tmp_path / "v.mp4", [frame.image for frame in frames])

    def damaged():
        yield from label_alone(mixture(frames), frames[:2])
        raise PixelClusterError("v.mp4: the video is damaged")

    files = {"labels": tmp_path / "l.mkv", "overlay": tmp_path / "o.mp4"}
    with open_video(tmp_path / "v.mp4") as video, pytest.raises(PixelClusterError, match="damaged"):
        write_video_outputs(video, VideoLabels(("",) * 4, 3, damaged()), files, overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_a_disk_full_at_the_end_leaves_the_old_set(tmp_path, monkeypatch) -> None:
    frames, _ = planted_clip(3, 32, 48)
    write_video(tmp_path / "v.mp4", [frame.image for frame in frames])
    paths = [tmp_path / "l.mkv", tmp_path / "o.mp4"]
    files = dict(zip(("labels", "overlay"), paths, strict=True))

    def write(k: int) -> None:
        labels = VideoLabels(("",) * k, 3, label_alone(mixture(frames, k), frames))
        write_video_outputs(video, labels, files, overwrite=True)

    with open_video(tmp_path / "v.mp4") as video:
        write(2)
        before = contents(paths)
        fill_up(monkeypatch, 2)
        with pytest.raises(PixelClusterError, match="No space left"):
            write(4)
    assert contents(paths) == before


@pytest.fixture(scope="module")
def model():
    """Trained on other frames of the same scene, without a student."""
    images = [(frame.image / 255).astype(np.float32) for frame in planted_clip(3, speed=20, seed=5)[0]]
    config = settings(
        n_clusters=4, targets={"stack": "rgb", "image_side": 128}, training={"epochs": 3}, prior={"rows": 0}
    )
    return fit_model(images, config, device=CPU)


def test_chains_follow_the_frame_before(model, monkeypatch) -> None:
    frames, truth = planted_clip(5, noise=30)
    calls = []

    def recording(streams, x, generator, prior, graph, z, label_map, **options):
        result = infer(streams, x, generator, prior, graph, z, label_map, **options)
        calls.append((z, prior, options["drift"], result))
        return result

    infer = chains.infer
    monkeypatch.setattr(chains, "infer", recording)
    alone, dynamic = (
        np.stack([
            frame.labels
            for frame in label_with_model(Reader(model, "exact", 0, CPU), frames, dynamic=use)
        ])
        for use in (False, True)
    )  # fmt: skip
    assert all(drift is None for _, _, drift, _ in calls[:6])
    for (_, _, _, before), (z, prior, drift, _) in pairwise(calls[5:]):
        torch.testing.assert_close(z, before.z)
        rho = float((drift[0] * before.z).sum() / before.z.square().sum())
        torch.testing.assert_close(drift[0], rho * before.z)
        assert 0.5 < rho < 0.9
        assert rho**2 + drift[1] ** 2 == pytest.approx(1)
        assert prior.history.shape == before.probabilities.shape[1:]
    assert flicker(dynamic, truth) < flicker(alone, truth)
    assert accuracy(dynamic, truth) >= accuracy(alone, truth)


def test_tiles_have_trails_of_their_own(model) -> None:
    frames, truth = planted_clip(3, 96, 128)
    native = replace(
        model,
        config=model.config.model_copy(
            update={"targets": model.config.targets.model_copy(update={"image_side": None})}
        ),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pixelcluster.segmenting.predict.TILE", 80)
        patch.setattr("pixelcluster.segmenting.predict.OVERLAP", 16)
        labels = [frame.labels for frame in label_with_model(Reader(native, "exact", 0, CPU), frames)]
    assert accuracy(np.stack(labels), truth) > 0.9


class Wavering(torch.nn.Module):
    """A student sure of left and right, and, frame by frame, of two minds in a strip that is more left."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        side = torch.linspace(-1, 1, pixels.shape[3]).sign() * 6
        side[28:36] = 0.5 * (-1) ** self.calls - 0.3
        logits = torch.zeros(1, 4, *pixels.shape[2:])
        logits[:, 2:] = -20
        logits[:, 0], logits[:, 1] = side, -side
        return logits


def test_the_student_is_filtered(model) -> None:
    frames = planted_clip(1, 48, 64)[0] * 8
    results = []
    for use in (False, True):
        wavering = replace(model, student=Wavering())
        labelled = label_with_model(Reader(wavering, "fast", 0, CPU), frames, dynamic=use)
        results.append(np.stack([frame.labels for frame in labelled]))
    changes = [int((labels[1:] != labels[:-1]).sum()) for labels in results]
    assert changes[0] == 7 * 8 * 48
    assert changes[1] < 0.5 * changes[0]
    assert (results[1][:, :, 36:] == 0).all()
    assert (results[1][:, :, :28] == 1).all()
    assert (results[1][-2:, :, 28:36] == 1).all()
