"""Every lint rule: one configuration that it objects to, and one close to it that it does not."""

from pathlib import Path

import pytest
from tests.support.lint_examples import BASE, BEDROCK, CHAIN, ENV, EXAMPLES, REGION, Edit, edited

from tidegate.compile import RULES, NoPrices, lint
from tidegate.config import Finding, load

BY_NAME = {rule.name: rule for rule in RULES}


def found(text: str, folder: Path) -> list[Finding]:
    file = folder / "config.yaml"
    file.write_text(text)
    return lint(load(file, ENV), env=ENV, price_book=NoPrices())


def test_the_base_configuration_is_clean(tmp_path: Path) -> None:
    assert found(BASE, tmp_path) == []


def test_every_rule_has_examples() -> None:
    assert sorted(EXAMPLES) == sorted(BY_NAME)
    assert len(RULES) == len(BY_NAME) >= 15


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_rule_objects(name: str, tmp_path: Path) -> None:
    hits = [one for one in found(edited(EXAMPLES[name].failing), tmp_path) if one.rule == name]
    assert hits
    for one in hits:
        assert one.severity == BY_NAME[name].severity
        assert one.line > 0 and one.path.startswith("$.")
        assert one.message[-1] not in ".!?"


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_rule_does_not_object(name: str, tmp_path: Path) -> None:
    edits: tuple[Edit, ...] = EXAMPLES[name].clean
    assert [one for one in found(edited(edits), tmp_path) if one.rule == name] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_says_what_it_is(rule) -> None:
    assert rule.description.endswith((".", ")"))


def test_a_chain_without_a_region_or_at_another_dialect(tmp_path: Path) -> None:
    assert {one.rule for one in found(edited((CHAIN, BEDROCK)), tmp_path)} >= {"access-key-without-region"}
    assert {one.rule for one in found(edited((CHAIN, REGION)), tmp_path)} >= {"access-key-unused"}
    assert [one for one in found(edited((CHAIN, REGION, BEDROCK)), tmp_path) if "awsChain" in one.path] == []


def test_a_chain_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.compile.rules.providers.find_spec", lambda name: None)
    (hit,) = [one for one in found(edited((CHAIN, REGION, BEDROCK)), tmp_path) if "awsChain" in one.path]
    assert (hit.rule, hit.message) == ("unset-credential", "the package `botocore` is missing")
