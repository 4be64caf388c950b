from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pixelcluster.evaluation import bench_video
from pixelcluster.evaluation.bench_process import Usage
from pixelcluster.evaluation.bench_rows import Options
from pixelcluster.evaluation.bench_video import video_section, write_clip
from pixelcluster.evaluation.flicker import flicker, flicker_along, planted_clip
from pixelcluster.io.video import open_video


def test_rows_of_the_section(tmp_path, monkeypatch) -> None:
    pytest.importorskip("av")
    peaks = iter((10**9, 2 * 10**9))
    monkeypatch.setattr(bench_video, "run", lambda *_: Usage(1.5, next(peaks)))
    monkeypatch.setattr(bench_video, "_NOISES", (16,))
    options = Options(1, 1, tmp_path / "none.png", video=(64, 96))
    rows = video_section(options)
    still = [row.value for row in rows if row.measure.startswith("flicker, ")]
    assert len(rows) == 8
    assert still[1] <= still[0]
    rows = video_section(replace(options, full=True))[8:]
    assert [row.unit for row in rows] == ["GB", "s", "GB", "s"]
    assert [row.met for row in rows[::2]] == [None, False]


def test_flicker_counts_what_should_not_change() -> None:
    _, truth = planted_clip(4, 60, 100, speed=5)
    assert (flicker(truth, truth), flicker_along(truth, truth, 5)) == (0, 0)
    blinking = np.where(np.arange(4)[:, None, None] % 2, 3 - truth, truth)
    assert flicker(blinking, truth) == 1
    still = np.broadcast_to(truth[0], truth.shape)
    assert flicker(still, truth) == 0
    assert 0.1 < flicker_along(still, truth, 5) < 0.9


def test_a_clip_as_a_file(tmp_path) -> None:
    pytest.importorskip("av")
    frames, _ = planted_clip(3, 40, 60, noise=0)
    write_clip(tmp_path / "c.mp4", frames)
    with open_video(tmp_path / "c.mp4") as video:
        found = list(video.frames)
        assert (video.rate, len(found)) == (25, 3)
    assert np.abs(found[1].image.astype(int) - frames[1].image).mean() < 6
