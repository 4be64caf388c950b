from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from pixelcluster.data.augment import consistency_pair, geometric_view, photometric_view
from pixelcluster.errors import PixelClusterError


@pytest.fixture
def image():
    """Smooth colours, so that a resized crop can be compared with its target."""
    rows, columns = np.mgrid[0:64, 0:48].astype(np.float32)
    return np.stack([rows / 64, columns / 48, (rows + columns) / 112], axis=2)


def test_labels_move_with_the_image(image):
    # The label is the row third and the column half: both can be read off the image itself.
    def labels_of(view):
        return (view[..., 0] * 3).astype(np.int32) * 2 + (view[..., 1] * 2).astype(np.int32)

    for seed in range(10):
        view, moved = geometric_view(image, labels_of(image), seed)
        assert view.shape == image.shape
        assert moved.dtype == np.int32
        # Only pixels on a label edge may differ.
        assert np.mean(moved == labels_of(view)) > 0.9


def test_probabilities_stay_probabilities_and_follow_the_labels(image):
    labels = (image[..., 0] * 4).astype(np.int64)
    for n_clusters in (4, 150):
        hard, soft = labels % n_clusters, np.eye(n_clusters)[labels % n_clusters]
        for seed in range(3):
            _, moved = geometric_view(image, hard, seed)
            _, moved_soft = geometric_view(image, soft, seed)
            assert moved_soft.shape == (*moved.shape, n_clusters)
            assert moved_soft.sum(axis=2) == pytest.approx(np.ones(moved.shape), abs=1e-5)
            assert np.mean(moved_soft.argmax(axis=2) == moved) > 0.9


def test_the_same_seed_gives_the_same_pair_and_another_seed_another(image):
    labels = np.arange(image.shape[0] * image.shape[1]).reshape(image.shape[:2])
    view, moved = consistency_pair(image, labels, 5)
    consistency_pair(image, labels, 6)
    again, moved_again = consistency_pair(image, labels, 5)
    assert np.array_equal(view, again)
    assert np.array_equal(moved, moved_again)
    assert not np.array_equal(view, consistency_pair(image, labels, 6)[0])


def test_flips_happen_about_half_the_time(image):
    columns = np.tile(np.arange(48), (64, 1))
    rows = [geometric_view(image, columns, seed)[1][0] for seed in range(60)]
    assert 15 < sum(row[0] > row[-1] for row in rows) < 45


def test_the_jitter_moves_no_pixel():
    flat = np.zeros((8, 8, 3), dtype=np.float32)
    flat[:, :4] = (0.8, 0.3, 0.2)
    flat[:, 4:] = (0.2, 0.4, 0.7)
    views = [photometric_view(flat, seed) for seed in range(5)]
    for view in views:
        assert (view[:, :4] == view[0, 0]).all()
        assert (view[:, 4:] == view[0, 7]).all()
        assert view.min() >= 0
        assert view.max() <= 1
        assert not np.array_equal(view, flat)
    assert len({view.tobytes() for view in views}) == 5


@pytest.mark.parametrize(("channels", "strength", "hue"), [(3, 0.4, 0.125), (4, 0.1, 0.1)])
def test_the_jitter_is_as_strong_as_the_protocol_says(channels, strength, hue):
    grey, red = np.full((2, 8, 8, channels), 0.5, dtype=np.float32)
    grey[:4] = 0.4
    red[..., :3] = (0.5, 0.35, 0.35)
    brightness, contrast, saturation, turns = [], [], [], []
    for seed in range(150):
        upper, lower = photometric_view(grey, seed)[[0, 7], 0, 0]
        # Of grey, contrast keeps the mean and saturation and hue keep everything.
        brightness.append((upper + lower) / 0.9)
        contrast.append((lower - upper) / (lower + upper) * 9)
        # Of one colour, only hue turns the hue, and all but hue scale the largest difference of channels.
        view = photometric_view(red, seed)
        saturation.append(np.ptp(view[0, 0, :3]) / 0.15 / brightness[-1] / contrast[-1])
        turns.append((cv2.cvtColor(view[..., :3], cv2.COLOR_RGB2HSV)[0, 0, 0] / 360 + 0.5) % 1 - 0.5)
        assert np.array_equal(view[..., 3:], red[..., 3:])
    for factors in (brightness, contrast, saturation):
        assert np.abs(np.array(factors) - 1).max() == pytest.approx(strength, rel=0.06)
    assert np.abs(turns).max() == pytest.approx(hue, rel=0.06)


def test_infrared_moves_with_colour():
    image = np.repeat(np.random.default_rng(0).random((24, 32, 1)).astype(np.float32), 4, axis=2)
    labels = np.zeros((24, 32), int)
    moved = geometric_view(image, labels, 3)[0]
    assert np.array_equal(moved[..., 3], moved[..., 0])
    assert np.array_equal(consistency_pair(image, labels, 3)[0][..., 3], moved[..., 3])


@pytest.mark.parametrize(
    ("target", "seed", "message"),
    [
        (np.zeros((64, 47), int), 0, "target has shape"),
        (np.zeros((64, 48), np.float32), 0, "target has shape"),
        (np.zeros((64, 48, 2), int), 0, "target has shape"),
        (np.zeros((64, 48), int), -1, "seed"),
    ],
)
def test_bad_targets_and_seeds_are_refused(image, target, seed, message):
    with pytest.raises(PixelClusterError, match=message):
        consistency_pair(image, target, seed)


def test_bytes_are_refused(image):
    with pytest.raises(PixelClusterError, match="float32"):
        photometric_view((image * 255).astype(np.uint8), 0)


@pytest.mark.parametrize("value", [None, "0"])
def test_importing_asks_no_server_and_leaves_the_environment(value):
    # A refused socket would only give a warning, so the check looks at the call itself.
    code = (
        "import os, urllib.request\n"
        "def refuse(*_): raise SystemExit('the network was asked')\n"
        "urllib.request.OpenerDirector.open = refuse\n"
        "import pixelcluster.data.augment\n"
        "print(os.environ.get('NO_ALBUMENTATIONS_UPDATE'))\n"
    )
    environment = {key: text for key, text in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    if value is not None:
        environment["NO_ALBUMENTATIONS_UPDATE"] = value
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, str(value)), done.stderr
