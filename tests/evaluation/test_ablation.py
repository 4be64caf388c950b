from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from pixelcluster.config import RunConfig
from pixelcluster.config_file import parse_config
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation import ablation
from pixelcluster.evaluation.ablation import RememberedStack, VariantResult, run_ablation
from pixelcluster.evaluation.ablation_report import langevin_points, markdown_table, summarise
from pixelcluster.evaluation.curves import draw_steps
from pixelcluster.evaluation.per_pixel import fit_and_score
from pixelcluster.evaluation.variants import Variant, choose_variants
from pixelcluster.targets.rgb import RgbStack


@pytest.fixture
def config() -> RunConfig:
    return parse_config(
        {
            "n_clusters": 3,
            "targets": {"stack": "rgb"},
            "generator": {"latent_channels": 1, "width": 4},
            "sampler": {"langevin_steps": 1, "gibbs_sweeps": 1, "inference_rounds": 2},
            "training": {"restarts": 1, "epochs": 2},
            "student": {"enabled": False},
        }
    )


def test_the_full_row_is_what_the_protocol_gives(crops, config):
    result, smooth = run_ablation(
        crops, config, choose_variants(config, ["potts-off"]), n_classes=3, seeds=[0, 3]
    )
    for seed in (0, 3):
        report, _ = fit_and_score(crops, config, n_classes=3, seed=seed)
        assert result.acc[seed] == pytest.approx(report["acc"])
        assert result.miou[seed] == pytest.approx(report["miou"])
        changed = smooth.variant.apply(config)
        report, _ = fit_and_score(crops, changed, n_classes=3, seed=seed)
        assert smooth.acc[seed] == pytest.approx(report["acc"])


def test_a_stack_is_prepared_once_a_seed_and_equal_settings_share_a_fit(crops, config, monkeypatch):
    prepared, fits = [], []
    real_prepare, real_fit = ablation.prepare_targets, ablation.best_fit
    monkeypatch.setattr(
        ablation, "prepare_targets", lambda *a, **k: prepared.append(k["seed"]) or real_prepare(*a, **k)
    )
    monkeypatch.setattr(ablation, "best_fit", lambda *a, **k: fits.append(a[1]) or real_fit(*a, **k))
    chosen = choose_variants(config, ["start", "restarts", "stack-sobel"])
    lines = []
    results = run_ablation(
        crops, config, chosen, n_classes=3, seeds=[0, 1], report=lambda _, line: lines.append(line)
    )
    # full, start-kmeans and restarts-1 are one model; sobel is another stack.
    assert prepared == [0, 1, 0, 1]
    assert len(fits) == len(lines) == 2 * 4
    assert [result.variant.name for result in results] == [variant.name for variant in chosen]
    assert results[0].acc == {r.variant.name: r for r in results}["start-kmeans"].acc


def test_a_student_is_fitted_once_for_both_modes(crops, config, monkeypatch):
    settings = config.model_dump() | {
        "student": {"pretrained": False, "input_scale": 2, "steps": 2, "views": 1, "batch_size": 2}
    }
    config, fits = parse_config(settings), []
    real = ablation.PixelCluster.fit
    monkeypatch.setattr(ablation.PixelCluster, "fit", lambda *a, **k: fits.append(1) or real(*a, **k))
    results = run_ablation(crops, config, choose_variants(config, ["student"]), n_classes=3, seeds=[0])
    rows = {result.variant.name: result.acc[0] for result in results}
    assert set(rows) == {"full", "student-off", "student-alone", "student-and-chains"}
    assert len(fits) == 1  # student-off needs none
    assert rows["full"] == rows["student-and-chains"]


def test_a_variant_that_fails_is_noted_and_the_others_go_on(crops, config):
    chosen = [
        Variant("full", "full"),
        Variant("broken", "stacks", {"targets.stack": "magic"}),
        Variant("kept", "prior", {"prior.rows": 0}),
    ]
    results = run_ablation(crops, config, chosen, n_classes=3, seeds=[0])
    assert "unknown target stack" in results[1].error[0]
    assert results[2].acc
    assert "| broken | unknown target stack" in markdown_table(results)


def test_a_remembered_stack_computes_an_image_once(monkeypatch):
    random = torch.Generator().manual_seed(0)
    images = [torch.rand(3, 8, 8, generator=random) for _ in range(2)]
    plain = RgbStack(4).fit(images)
    stack, calls = RememberedStack(plain), []
    monkeypatch.setattr(plain, "raw", lambda x, raw=plain.raw: calls.append(1) or raw(x))
    for image in (*images, *images):
        torch.testing.assert_close(stack(image[None]), stack(image[None].clone()))
    assert len(calls) == 2
    assert not torch.equal(stack(images[0][None]), stack(images[1][None]))


def results_of(accuracies: dict[str, dict[int, float]]) -> list[VariantResult]:
    return [
        VariantResult(Variant(name, name.split("-")[0]), acc, acc, dict.fromkeys(acc, 2.0))
        for name, acc in accuracies.items()
    ]


def test_figures_are_over_seeds_and_differences_between_equal_seeds():
    results = results_of({"full": {0: 60.0, 1: 64.0}, "langevin-0": {0: 58.0, 1: 60.0}, "half": {1: 65.0}})
    full, langevin, half = summarise(results)
    assert (full["acc"], full["acc_std"], full["difference"]) == (62, 2, 0)
    assert (langevin["acc"], langevin["acc_std"], langevin["difference"]) == (59, 1, -3)
    assert half["difference"] == 1
    assert "| langevin-0 | 59.0 +- 1.0 | -3.0 | 2 |" in markdown_table(results)


def test_the_curve_is_drawn_of_the_langevin_variants(tmp_path):
    pytest.importorskip("matplotlib")
    results = results_of({"full": {0: 9.0}} | {f"langevin-{n}": {0: 50.0 + n, 1: 52.0 + n} for n in (0, 20)})
    points = langevin_points(results)
    assert points == [(0, 50.0), (0, 52.0), (20, 70.0), (20, 72.0)]
    draw_steps(points, tmp_path / "curve.png")
    pixels = np.asarray(Image.open(tmp_path / "curve.png").convert("RGB")).astype(int)
    rows, columns = np.nonzero((pixels[..., 2] - pixels[..., 0]) > 100)
    assert rows[columns == columns.min()].mean() > rows[columns == columns.max()].mean()
    with pytest.raises(PixelClusterError, match="2 numbers of Langevin steps"):
        draw_steps(points[:2], tmp_path / "curve.png")
