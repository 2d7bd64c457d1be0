"""Files and folders: everything wrong is told at once, and nothing hangs or crashes."""

import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config import ConfigErrors, Resources, fingerprint, load
from tidegate.config.document import MAX_DEPTH, parse_documents
from tidegate.config.reader import MAX_VALUES

TEAM = "kind: Team\nmetadata: {{name: {}}}\n"


def loaded(folder: Path, **files: str) -> Resources:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return load(folder, {})


def messages(folder: Path, **files: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        loaded(folder, **files)
    return [str(one).replace(f"{folder}/", "") for one in caught.value.findings]


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(TEAM.format("first"))
    (tmp_path / ".hidden.yaml").write_text("not: read")
    (tmp_path / "notes.txt").write_text("not: read")
    (tmp_path / "folder.yaml").mkdir()
    resources = loaded(tmp_path, b=TEAM.format("second") + "---\n---\n" + TEAM.format("third"))
    assert [one.metadata.name for one in resources.teams] == ["first", "second", "third"]


def test_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    said = messages(tmp_path, a="kind: Tem\n---\nkind: Team\nmetadata: {}\n", b="a: [", c=TEAM.format("x") + "zzz: 1\n")
    assert [one.split(": error")[0] for one in said] == ["a.yaml:1", "a.yaml:4", "b.yaml:2", "c.yaml:3"]


def test_names_are_unique_over_files(tmp_path: Path) -> None:
    said = messages(tmp_path, a=TEAM.format("x"), b=TEAM.format("x"))
    assert len(said) == 1 and "a second Team called `x`; the first stands at " in said[0]


@pytest.mark.parametrize("what", ["missing", "empty", "void"])
def test_nothing_to_read(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "void").write_text("# nothing\n---\n")
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / what, {})
    assert len(caught.value.findings) == 1


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"kind: \xff")
    with pytest.raises(ConfigErrors, match="not UTF-8"):
        load(tmp_path, {})


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbf" + TEAM.format("x").encode())
    assert len(load(tmp_path, {}).teams) == 1


def test_text_is_what_was_written(tmp_path: Path) -> None:
    """YAML 1.1 would read no as false, 1.10 as 1.1, 0o17 and 12:30 as numbers."""
    text = TEAM.format("1.10").replace("}", ", labels: {country: no, build: 0o17, at: 12:30:00, on: 2026-01-01}}")
    (team,) = loaded(tmp_path, a=text).teams
    assert team.metadata.name == "1.10"
    assert team.metadata.labels == {"country": "no", "build": "0o17", "at": "12:30:00", "on": "2026-01-01"}


def test_money_never_passes_through_a_float(tmp_path: Path) -> None:
    (team,) = loaded(tmp_path, a=TEAM.format("x") + "spec: {budget: {usd: 0.1, period: day}}").teams
    assert team.spec.budget[0].usd == Decimal("0.1")
    (team,) = loaded(tmp_path, a=TEAM.format("x") + "spec: {budget: {usd: 9007199254740993.1, period: day}}").teams
    assert team.spec.budget[0].usd == Decimal("9007199254740993.1")


def test_values_from_outside(tmp_path: Path) -> None:
    (tmp_path / "url.txt").write_text("https://llm.example.com/v1\n")
    file = tmp_path / "a.yaml"
    file.write_text(
        "kind: Provider\nmetadata: {name: {env: NAME}}\nspec:\n  dialect: openai\n  baseUrl: {file: url.txt}\n"
        "  maxConnections: {env: MOST}\n  credentials: [{apiKey: {env: UNSET}}, {apiKey: {file: key.txt}}]\n"
    )
    (provider,) = load(file, {"NAME": "vllm", "MOST": "7"}).providers
    assert (provider.metadata.name, provider.spec.base_url) == ("vllm", "https://llm.example.com/v1")
    assert provider.spec.max_connections == 7
    first, second = provider.spec.credentials
    assert first.api_key is not None and first.api_key.env == "UNSET"
    assert second.api_key is not None and second.api_key.file == str(tmp_path / "key.txt")


def test_a_secret_in_the_wrong_place_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    places = ("dialect", "maxConnections", "verifyTls", "baseUrl")
    fields = "\n".join(f"  {place}: {{env: SECRET}}" for place in places)
    file.write_text(f"kind: Provider\nmetadata: {{name: p}}\nspec:\n{fields}\n")
    with pytest.raises(ConfigErrors) as caught:
        load(file, {"SECRET": "sk-canary"})
    assert len(caught.value.findings) == len(places)
    assert "canary" not in str(caught.value)


def test_a_bomb_of_aliases_is_bounded(tmp_path: Path) -> None:
    lines = ["kind: Team", "metadata: {name: x}", "spec:", "  budget:", "    - &a0 {usd: 1, period: day}"]
    bomb = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert messages(tmp_path, a=bomb) == [f"a.yaml:1: error: `kind` is missing. {_known_kinds()}"]
    lines = ["kind: Team", "metadata: {name: x}", "spec:", "  models: &m [x, x]", "  budget:"]
    rungs = ["&b0 [{usd: 1, period: day}, {usd: 1, period: day}]"]
    rungs += [f"&b{n} [*b{n - 1}, *b{n - 1}]" for n in range(1, 40)]
    said = messages(tmp_path, a="\n".join([*lines, *(f"    - {one}" for one in rungs)]))
    assert len(said) < 100


def _known_kinds() -> str:
    return "Known kinds: Provider, Model, Team, Consumer, AIAPIGatewayPolicy, Gateway."


def test_too_many_values(tmp_path: Path) -> None:
    names = ", ".join(["x"] * (MAX_VALUES + 1))
    said = messages(tmp_path, a=TEAM.format("x") + f"spec: {{models: [{names}]}}")
    assert said == [f"a.yaml:1: error: the document expands to more than {MAX_VALUES} values. Use fewer aliases."]


def test_depth_is_bounded() -> None:
    _, findings = parse_documents("[" * 5000 + "]" * 5000, "deep.yaml")
    assert [one.message for one in findings] == [f"nested more than {MAX_DEPTH} levels deep"]


@given(st.text(alphabet=st.sampled_from("abk:-,[]{}&*!|>'\"%#@<~? \n\tkindTeam"), max_size=200))
def test_any_text_gives_documents_or_findings(text: str) -> None:
    documents, findings = parse_documents(text, "any.yaml")
    assert all(one.line >= 0 for one in documents)
    assert all(one.message for one in findings)


@given(
    st.text(max_size=60), st.sampled_from(["Provider", "Model", "Team", "Consumer", "AIAPIGatewayPolicy", "Gateway"])
)
def test_any_spec_gives_a_resource_or_findings(tmp_path_factory: pytest.TempPathFactory, spec: str, kind: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(
        f"kind: {kind}\nmetadata: {{name: x}}\nspec: {{dialect: {spec}\n", encoding="utf-8", errors="replace"
    )
    try:
        load(file, {})
    except ConfigErrors as errors:
        assert errors.findings


def test_fingerprints_tell_changes(tmp_path: Path) -> None:
    assert fingerprint(tmp_path) == ()
    file = tmp_path / "a.yaml"
    file.write_text("a")
    first = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == first != ()
    os.utime(file, ns=(1, 1))
    second = fingerprint(tmp_path)
    assert second != first
    (tmp_path / "b.yaml").write_text("b")
    assert fingerprint(tmp_path) != second
    assert fingerprint(file) == second
