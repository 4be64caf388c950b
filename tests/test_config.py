from __future__ import annotations

import re
from pathlib import Path

import pytest

from pixelcluster.config import RunConfig
from pixelcluster.config_file import dump_config, load_config, parse_config
from pixelcluster.errors import PixelClusterError

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trainig: {}", "unknown key trainig; did you mean training?"),
        ("training: {epoch: 3}", "unknown key training.epoch; did you mean epochs?"),
        ("sampler: {zzz: 3}", "unknown key sampler.zzz; wanted one of langevin_steps"),
        ("training: {epochs: many}", "training.epochs is 'many'"),
        ("training: {epochs: 0}", "training.epochs is 0"),
        ("generator: {sigma: -1}", "generator.sigma is -1"),
        ("n_clusters: lots", "n_clusters"),
        ("clusters: {merged: {0: 1, 1: 2}}", "clusters: merged names an id both as merged and"),
        ("mode: slow", "mode is 'slow'"),
        ("[1, 2]", "the whole is [1, 2]"),
        ("a: [", "is not YAML"),
    ],
)
def test_wrong_settings_name_file_key_and_way_out(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PixelClusterError) as caught:
        load_config(path)
    message = str(caught.value)
    assert words in message
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "mode: fast\n\ntraining:\n  epochs: 3\n  epoch: 4\n",
            "line 5: unknown key training.epoch; did you mean epochs",
        ),
        ("# settings\ntrainin: {}\n", "line 2: unknown key trainin; did you mean training"),
        (
            "prior:\n  rows: 2\n  potts_weight: much\n",
            "line 3: prior.potts_weight is 'much'; wanted a valid number",
        ),
        ("n_clusters: banana\n", "line 1: n_clusters is 'banana'; wanted a valid integer or 'auto'"),
        ("training: {restarts: 2,\n  batch_size: 0}\n", "line 2: training.batch_size is 0"),
        ("mode: fast\ntargets:\n  options: {texture: 5}\n", "line 3: targets.options.texture is 5"),
        ("- 1\n", "line 1: the whole is [1]"),
    ],
)
def test_messages_name_the_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PixelClusterError, match=re.escape(words)):
        load_config(path)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1]\nb: *a\n",
        "a: &a {b: 1}\nc: {<<: *a}\n",
        "&a [*a]",
        "[" * 20_000,
        "n_clusters: 2001-99-99",
        "n_clusters: " + "9" * 5000,
        "!!python/object/apply:os.system ['true']",
        "? [1, 2]\n: 3",
        "#" * 1_100_000,
        "a: \0",
    ],
    ids=["alias", "merge", "loop", "deep", "date", "digits", "python", "list-key", "large", "nul"],
)
def test_hostile_files_are_refused_in_one_short_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PixelClusterError) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))


def test_a_large_value_is_shown_short(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError) as caught:
        parse_config({"mode": ["x" * 10_000] * 100})
    assert len(str(caught.value)) < 300


def test_files_that_are_no_settings(tmp_path: Path) -> None:
    with pytest.raises(PixelClusterError, match=r"gone\.yaml"):
        load_config(tmp_path / "gone.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(PixelClusterError, match="is not YAML"):
        load_config(tmp_path / "binary.yaml")


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").touch()
    assert load_config(tmp_path / "empty.yaml") == RunConfig()


def test_round_trip(tmp_path: Path) -> None:
    config = parse_config(
        {
            "n_clusters": 7,
            "mode": "fast",
            "targets": {
                "stack": "texture+rgb",
                "image_side": None,
                "options": {"texture": {"scales": [1.0, 2.0]}},
            },
            "prior": {"concentration": None, "contrast": 0.1},
            "generator": {"sigma": 0.3, "latent_stride": 8},
        }
    )
    for one in (config, RunConfig()):
        (tmp_path / "c.yaml").write_text(dump_config(one), encoding="utf-8")
        assert load_config(tmp_path / "c.yaml") == one


@pytest.mark.skipif(not CONFIGS, reason="configs/ holds no settings yet")
def test_shipped_settings_load() -> None:
    for path in CONFIGS:
        assert isinstance(load_config(path), RunConfig)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generator": {"sigma_schedule": "fixed"}}, "give noise isotropic, or no sigma_schedule"),
        ({"generator": {"sigma": 0.3}}, "give noise isotropic, or no sigma$"),
        ({"prior": {"proportions": False}}, "pruned by their proportions"),
        ({"n_clusters": 3, "prior": {"proportions": False, "sparsity": 0.01}}, "pruned by their proportions"),
        ({"generator": {"form": "convolutional"}}, "cannot drop clusters"),
    ],
)
def test_settings_that_exclude_each_other(changes: dict[str, object], words: str) -> None:
    with pytest.raises(PixelClusterError, match=words):
        parse_config(changes).check_fit()


def test_what_goes_together_may_be_fitted() -> None:
    for changes in (
        {"generator": {"noise": "isotropic", "sigma": 0.3, "sigma_schedule": "annealed"}},
        {"n_clusters": 3, "generator": {"form": "convolutional", "sigma": 0.3}},
        {"n_clusters": 3, "prior": {"proportions": False}},
    ):
        parse_config(changes).check_fit()
    for path in CONFIGS:
        load_config(path).check_fit()


def test_keys_that_are_gone_are_dropped_where_they_ask_for_what_there_is(tmp_path: Path) -> None:
    """An older model's config.yaml holds every setting of its time."""
    path = tmp_path / "config.yaml"
    path.write_text("student: {rounds: 1, steps: 9}\ntraining: {beta1: 0.5}\n")
    assert load_config(path) == parse_config({"student": {"steps": 9}})
    for text, key in (
        ("student: {rounds: 2}", "student.rounds"),
        ("training: {beta1: 0.9}", "training.beta1"),
    ):
        path.write_text(text)
        with pytest.raises(PixelClusterError, match=f"line 1: unknown key {key}"):
            load_config(path)
