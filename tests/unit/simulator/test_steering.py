"""Steering of single calls."""

import pytest

from tidegate.simulator.behaviour import BadProfile, Behaviour
from tidegate.simulator.steering import split_name, steer


def test_fields_and_what_is_forced() -> None:
    behaviour, forced = steer(
        "m", Behaviour(), "tokens=5; firstByte=uniform(1ms, 2ms)", "usage=false;text=Hi there", ""
    )
    assert behaviour.tokens.constant == 5
    assert behaviour.first_byte.text == "uniform(1ms, 2ms)"
    assert not behaviour.usage
    assert behaviour.text == "Hi there"
    assert forced == ""
    assert steer("m", Behaviour(), "status=429/insufficient_quota")[1] == "429/insufficient_quota"
    assert steer("m", Behaviour(), "status=503", "fault=cut-clean")[1] == "cut-clean"


def test_nothing_changes_nothing() -> None:
    behaviour = Behaviour()
    assert steer("m", behaviour, "", "")[0] is behaviour


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tokens", "not key=value"),
        ("status=200", "`200`"),
        ("fault=explode", "not a fault"),
        ("speed=5", "unknown field `speed`"),
        ("writeBytes=many", "cannot be a `writeBytes`"),
        ("utilization=full", "cannot be a `utilization`"),
    ],
)
def test_what_cannot_be_steered(text: str, told: str) -> None:
    with pytest.raises(BadProfile, match=told):
        steer("m", Behaviour(), text)


def test_steering_behind_a_models_name() -> None:
    assert split_name("org/m:1#tokens=5") == ("org/m:1", "tokens=5")
    assert split_name("m") == ("m", "")
