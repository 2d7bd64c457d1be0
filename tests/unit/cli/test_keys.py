"""`tidegate keys aws-access`: the pair of a consumer's key, which is never an argument."""

import io
import json
from hashlib import sha256
from pathlib import Path

import pytest
from tests.support.lint_examples import BASE, ENV

from tidegate.cli.main import main
from tidegate.gateway.credentials.signed_access import issue

SECRET = "x" * 32
GATEWAY = f"---\nkind: Gateway\nspec: {{awsAccess: {{secret: {SECRET}}}}}\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TIDEGATE_KEY", raising=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "a.yaml"
    file.write_text(BASE + GATEWAY)
    return file


def test_a_key_of_the_environment(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_KEY", ENV["CHATBOT_KEY"])
    assert main(["keys", "aws-access", "-c", str(config)]) == 0
    pair = issue(SECRET, sha256(ENV["CHATBOT_KEY"].encode()).digest())
    assert capsys.readouterr().out == f"AWS_ACCESS_KEY_ID={pair.id}\nAWS_SECRET_ACCESS_KEY={pair.secret}\n"


def test_a_key_of_standard_input(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(ENV["CHATBOT_KEY"] + "\n"))
    assert main(["keys", "aws-access", "--config", str(config), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["access_key_id"] == issue(SECRET, sha256(ENV["CHATBOT_KEY"].encode()).digest()).id


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("", BASE + GATEWAY, "no key"),
        ("someone-elses", BASE + GATEWAY, "no consumer"),
        (ENV["CHATBOT_KEY"], BASE, "awsAccess"),
        (ENV["CHATBOT_KEY"], "kind: Nonsense", "Nonsense"),
    ],
)
def test_what_has_no_pair(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key: str, text: str, told: str
) -> None:
    config.write_text(text)
    monkeypatch.setattr("sys.stdin", io.StringIO(key))
    assert main(["keys", "aws-access", "-c", str(config)]) == 1
    out = capsys.readouterr()
    assert told in out.err and out.out == ""
    assert key not in out.err or not key
