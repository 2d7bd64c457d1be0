"""tests/config_cases/*.case: a configuration, a line `-----`, and exactly what `tidegate check` says of it."""

from pathlib import Path

import pytest

from tidegate.compile import NoPrices, check

CASES = sorted((Path(__file__).parents[2] / "config_cases").glob("*.case"))
ENV = {"BASE_URL": "https://llm.example.com/v1"}


def test_there_are_cases() -> None:
    assert len(CASES) >= 15


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_messages_are_exact(case: Path, tmp_path: Path) -> None:
    text, expected = case.read_text().split("\n-----\n")
    file = tmp_path / "config.yaml"
    file.write_text(text)
    findings = check(file, ENV, price_book=NoPrices())
    said = "\n".join(str(one) for one in findings).replace(f"{tmp_path}/", "")
    assert said == expected.strip()
