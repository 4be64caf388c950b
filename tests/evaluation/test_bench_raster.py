from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pixelcluster.evaluation import bench_raster
from pixelcluster.evaluation.bench_process import Usage
from pixelcluster.evaluation.bench_raster import raster_section, seam_disagreement, write_scene
from pixelcluster.evaluation.bench_rows import Options

pytest.importorskip("rasterio")


@pytest.fixture
def options(photo) -> Options:
    return Options(1, torch.get_num_threads(), photo("sample.png"), raster_side=150, full=True)


def test_rows_of_the_section(options, monkeypatch) -> None:
    class Model:
        def save(self, folder) -> None:
            folder.mkdir()

    commands = []
    monkeypatch.setattr(bench_raster, "load_or_train", lambda options: Model())
    monkeypatch.setattr(bench_raster, "at_full_size", lambda model: model)
    monkeypatch.setattr(bench_raster, "run", lambda command, _: commands.append(command) or Usage(1.5, 10**9))
    rows = raster_section(options)
    assert [row.unit for row in rows] == ["GB", "s", "GB", "s", "share"]
    assert all(row.met is not False for row in rows)
    assert ["--model" in command for command in commands] == [False, True]
    assert raster_section(replace(options, full=False)) == []


def test_seams_are_counted(options, tmp_path, monkeypatch) -> None:
    write_scene(tmp_path / "s.tif", options.sample, 120)
    assert seam_disagreement(tmp_path / "s.tif", 40) == 0
    real = bench_raster.label_windows

    def shifted(scene, raster, side):
        for top, left, labels, values, valid in real(scene, raster, side):
            yield top, left, labels + (side == 40), values, valid

    monkeypatch.setattr(bench_raster, "label_windows", shifted)
    assert seam_disagreement(tmp_path / "s.tif", 40) == 1
