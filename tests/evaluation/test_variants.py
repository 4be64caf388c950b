from __future__ import annotations

import pytest

from pixelcluster.config import RunConfig
from pixelcluster.config_file import parse_config
from pixelcluster.errors import PixelClusterError
from pixelcluster.evaluation.variants import all_variants, choose_variants


def changed(config: RunConfig, name: str) -> RunConfig:
    (variant,) = [variant for variant in all_variants(config) if variant.name == name]
    return variant.apply(config)


def test_the_first_is_the_model_itself_and_names_are_unique():
    variants = all_variants(RunConfig())
    assert variants[0].apply(RunConfig()) == RunConfig()
    names = [variant.name for variant in variants]
    assert len(set(names)) == len(names)


def test_each_changes_only_what_it_says():
    config = RunConfig()
    for variant in all_variants(config):
        wanted = config.model_dump()
        for path, value in variant.changes.items():
            section, name = path.split(".")
            wanted[section][name] = value
        assert variant.apply(config).model_dump() == wanted


def test_a_part_that_is_off_is_switched_on():
    config = parse_config({"prior": {"concentration": None, "rows": 0}, "generator": {"latent_channels": 0}})
    assert changed(config, "dirichlet-on").prior.concentration == RunConfig().prior.concentration
    assert changed(config, "rows-on").prior.rows == RunConfig().prior.rows
    assert changed(config, "z-on").generator.latent_channels > 0
    assert "rows-off" not in {variant.name for variant in all_variants(config)}
    # The paper's figure 3 is about z: without one its steps would all be the same row.
    assert changed(config, "langevin-20").generator.latent_channels > 0


def test_prior_off_leaves_no_part_of_it():
    prior = changed(RunConfig(), "prior-off").prior
    assert (prior.proportions, prior.rows, prior.concentration, prior.potts_weight) == (False, 0, None, 0)


def test_student_rows_need_a_student():
    without = parse_config({"student": {"enabled": False}})
    assert not [variant for variant in all_variants(without) if variant.group == "student"]
    modes = {v.name: v.mode for v in all_variants(parse_config({"student": {"enabled": True}}))}
    assert (modes["student-alone"], modes["student-and-chains"]) == ("fast", "exact")


def test_a_start_with_rows_is_compared_with_one_without():
    assert "start-without-rows" not in {variant.name for variant in all_variants(RunConfig())}
    config = parse_config({"training": {"row_share": 0.1}})
    assert changed(config, "start-without-rows") == RunConfig()


def test_a_stack_keeps_the_options_of_its_own_parts():
    options = {"encoder": {"n_components": 8}, "texture": {}}
    config = parse_config({"targets": {"stack": "encoder+texture", "options": options}})
    assert changed(config, "stack-encoder").targets.options == {"encoder": {"n_components": 8}}
    assert changed(config, "stack-rgb").targets.options == {}


def test_names_and_groups_choose():
    chosen = choose_variants(RunConfig(), ["z", "tempering-2"])
    assert [variant.name for variant in chosen] == ["full", "z-off", "tempering-2"]
    with pytest.raises(PixelClusterError, match=r"unknown variant 'magic'.*groups: full, z, langevin"):
        choose_variants(RunConfig(), ["magic"])
