"""Profiles: defaults, overrides, and what is wrong with the others."""

from pathlib import Path
from typing import Any

import pytest

from tidegate.simulator.behaviour import (
    BadProfile,
    Behaviour,
    behaviour_fields,
    behaviour_from,
    load_profile,
    profile_from,
)
from tidegate.simulator.spread import Spread


def test_defaults_reach_every_model_that_says_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(
        """
        seed: 7
        keys: {sk-broke: 429/insufficient_quota}
        defaults: {firstByte: 200ms, errors: {503: 0.5}}
        models:
          slow: {firstByte: "uniform(1s, 2s)"}
          plain:
          org/vectors: {task: embedding, dimensions: 8}
        """
    )
    profile = profile_from(load_profile(path))
    assert profile.seed == 7
    assert profile.keys == {"sk-broke": "429/insufficient_quota"}
    assert profile.models["slow"].first_byte == Spread.parse("uniform(1s, 2s)")
    assert profile.models["plain"] == Behaviour(first_byte=Spread.parse("200ms"), errors={"503": 0.5})
    assert profile.models["org/vectors"].dimensions == 8


def test_without_models_the_well_known_ones_are_served() -> None:
    profile = profile_from({"defaults": {"perToken": "5ms"}})
    assert profile.models["gpt-4.1"].per_token.constant == 0.005
    assert profile.models["text-embedding-3-large"].dimensions == 3072
    assert "*" not in profile.models


def test_fields_are_put_over_those_there_are() -> None:
    before = behaviour_from("m", {"limit": {"requests": 3, "window": "1500ms"}, "tokens": 5})
    after = behaviour_from("m", {"tokens": 6}, before)
    assert after.tokens.constant == 6
    assert (after.limit.requests, after.limit.window) == (3, 1.5)


def test_what_is_written_out_reads_back() -> None:
    behaviour = behaviour_from(
        "m",
        {"firstByte": "lognormal(1s, 0.2)", "script": ["503", "cut-clean", "ok"], "retryAfter": "10ms", "drip": "1ms"},
    )
    fields = {name: value for name, value in behaviour_fields(behaviour).items() if value is not None}
    assert behaviour_from("m", fields) == behaviour


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"models": {"m": {"firstbyte": "1s"}}}, "models.m: .*unknown field `firstbyte`"),
        ({"models": {"m": {"firstByte": "soon"}}}, "models.m: `soon` is not a duration"),
        ({"models": {"m": {"errors": {"200": 1}}}}, "models.m.errors: `200`"),
        ({"models": {"m": {"errors": {"503": 2}}}}, "models.m.errors.503: 2.0 is not a share"),
        ({"models": {"m": {"faults": {"explode": 1}}}}, "models.m: .*explode"),
        ({"models": {"m": {"script": ["perhaps"]}}}, "models.m.script: `perhaps`"),
        ({"models": {"m": {"limit": {"window": 3}}}}, "models.m: `3` is not a duration"),
        ({"models": []}, "`models` is not a mapping"),
        ({"models": {"m": 3}}, "`models.m` is not a mapping"),
        ({"defaults": 3}, "`defaults` is not a mapping"),
        ({"keys": {"k": "nope"}}, "keys.k: `nope`"),
        ({"keys": []}, "`keys` is not a mapping"),
        ({"sead": 3}, "unknown field `sead`"),
    ],
)
def test_what_cannot_be_used(document: dict[str, Any], told: str) -> None:
    with pytest.raises(BadProfile, match=told):
        profile_from(document)


@pytest.mark.parametrize("text", ["- a\n", "a: [", "\x00"])
def test_a_file_that_is_no_mapping_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profile.yaml"
    path.write_text(text)
    with pytest.raises(BadProfile, match=r"profile\.yaml: "):
        load_profile(path)
