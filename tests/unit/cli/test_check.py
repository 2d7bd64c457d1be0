"""`tidegate check` and `tidegate schema`: what they print and their exit codes."""

import json
from pathlib import Path

import pytest
from tests.support.lint_examples import BASE, ENV

from tidegate.cli.main import main


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)


def test_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(BASE)
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no errors, no warnings\n"


def test_warnings_are_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(BASE + "---\nkind: Team\nmetadata: {name: idle}\n")
    assert main(["check", str(file)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"{file}:54: warning: $.metadata.name: no Consumer belongs to the Team `idle`.")
    assert out[0].endswith("[unused-team]") and out[1] == "0 errors, 1 warning"


def test_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(BASE.replace("team: support\n", "team: suport\n"))
    assert main(["check", str(file), "--json"]) == 1
    (warning, error) = json.loads(capsys.readouterr().out)
    assert (warning["rule"], error["rule"]) == ("unused-team", "unknown-team")
    assert error == {
        "file": str(file),
        "line": 47,
        "path": "$.spec.team",
        "message": "there is no Team `suport`",
        "hint": "Did you mean `support`?",
        "severity": "error",
        "rule": "unknown-team",
    }


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none")]) == 2
    assert "there is no such file or folder" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["check"])
    assert caught.value.code == 2


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Tidegate resource"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("tidegate ")
