from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pixelcluster.config import ClusterSettings
from pixelcluster.config_file import dump_config, load_config, parse_config
from pixelcluster.errors import PixelClusterError
from pixelcluster.segmenting import predict
from pixelcluster.segmenting.estimator import PixelCluster
from pixelcluster.segmenting.relabel import merge_clusters, name_clusters
from tests.synthetic import settings, textures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What these commands read of a model of six clusters."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.yaml").write_text(dump_config(settings(n_clusters=6)))
    (path / "model.safetensors").write_bytes(b"untouched")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("relabel") / "model"
    images, _ = textures(3)
    config = settings(sampler={"temperature": 0.0})
    PixelCluster(config=config).fit(images).save(path)
    return path


def test_merged_clusters_have_the_sum_of_their_probabilities(trained: Path) -> None:
    image = textures(1, seed=4)[0][0]
    before = PixelCluster.load(trained).predict(image, probabilities=True)
    merge_clusters(trained, [2, 0])
    name_clusters(trained, {0: "wavy"})
    after = PixelCluster.load(trained).predict(image, probabilities=True)
    assert after.names == ("wavy", "", "")
    assert after.n_clusters == 3
    assert not (after.label_map == 2).any()
    np.testing.assert_array_equal(after.label_map == 1, after.probabilities.argmax(0) == 1)
    p, q = before.probabilities, after.probabilities
    # Log-probabilities are interpolated, so sums are exact where the grid is and close in between.
    assert np.abs(q[0] - (p[0] + p[2])).mean() < 0.01
    assert np.abs(q[1] - p[1]).mean() < 0.01
    assert q[2].max() < 1e-6
    assert [row.name for row in after.table()] == ["wavy", "", ""]


def test_sums_of_log_probabilities() -> None:
    logs = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0)).log_softmax(0)
    merged = predict.merged_log_probabilities(logs, {2: 1, 4: 1}).exp()
    torch.testing.assert_close(merged[1], logs.exp()[[1, 2, 4]].sum(0))
    torch.testing.assert_close(merged.sum(0), torch.ones(2, 3))
    assert (merged.argmax(0) != 2).all()


def test_merges_follow_each_other(folder: Path) -> None:
    merge_clusters(folder, [5, 2])
    assert load_config(folder / "config.yaml").clusters.merged == {5: 2}
    merge_clusters(folder, [5, 1])  # 5 stands for 2
    assert load_config(folder / "config.yaml").clusters.merged == {2: 1, 5: 1}
    merge_clusters(folder, [3, 4, 2])
    assert merge_clusters(folder, [0, 5]).clusters.merged == {1: 0, 2: 0, 3: 0, 4: 0, 5: 0}
    assert (folder / "model.safetensors").read_bytes() == b"untouched"


def test_names_move_with_a_merge(folder: Path) -> None:
    name_clusters(folder, {5: "sky", 1: "road"})
    assert merge_clusters(folder, [5, 2]).clusters.names == {1: "road", 2: "sky"}
    with pytest.raises(PixelClusterError, match="'road' and 'sky'"):
        merge_clusters(folder, [1, 2])
    name_clusters(folder, {2: ""})
    assert merge_clusters(folder, [1, 2]).clusters.names == {1: "road"}
    with pytest.raises(PixelClusterError, match="was merged into 1"):
        name_clusters(folder, {5: "sky"})


@pytest.mark.parametrize(
    ("ids", "word"), [([6, 1], "0 to 5"), ([-1, 1], "0 to 5"), ([3], "two"), ([3, 3], "two")]
)
def test_ids_a_model_does_not_have(folder: Path, ids: list[int], word: str) -> None:
    before = (folder / "config.yaml").read_bytes()
    with pytest.raises(PixelClusterError, match=word):
        merge_clusters(folder, ids)
    assert (folder / "config.yaml").read_bytes() == before


@pytest.mark.parametrize("name", ["a\nb", "x" * 61, "\x1b[31m", "sky"])
def test_names_that_cannot_be_shown(folder: Path, name: str) -> None:
    name_clusters(folder, {4: "sky"})
    before = (folder / "config.yaml").read_bytes()
    with pytest.raises(PixelClusterError) as caught:
        name_clusters(folder, {0: name})
    assert "\n" not in str(caught.value)
    assert (folder / "config.yaml").read_bytes() == before


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match="no model folder"):
        name_clusters(tmp_path, {0: "sky"})
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.yaml").write_text("n_clusters: auto\n")
    with pytest.raises(PixelClusterError, match="not a fitted model"):
        merge_clusters(tmp_path, [0, 1])
    (tmp_path / "config.yaml").write_text("n_clusters: 3\nclusters: {merged: {2: 7}}\n")
    with pytest.raises(PixelClusterError, match="id 7"):
        merge_clusters(tmp_path, [0, 1])
    (tmp_path / "config.yaml").write_text("n_clusters: 3\nclusters: {merged: {2: 1, 1: 0}}\n")
    with pytest.raises(PixelClusterError, match="both"):
        merge_clusters(tmp_path, [0, 1])


def test_a_new_fit_starts_without_names() -> None:
    images, _ = textures(2)
    clusters = {"names": {0: "sky"}, "merged": {2: 1}}
    config = parse_config(settings(training={"epochs": 1}).model_dump() | {"clusters": clusters})
    assert PixelCluster(config=config).fit(images).model_.config.clusters == ClusterSettings()
