"""`tidegate explain`: the tree, its JSON, and what it says when there is nothing to explain."""

import argparse
import json
import re
from pathlib import Path

import pytest
from tests.support.usage_records import START_NS, make_decision, make_event, make_record

from tidegate.cli import explain
from tidegate.cli.decision_tree import ansi, tree
from tidegate.core.clock import ManualClock
from tidegate.core.decision import ClaimRecord
from tidegate.core.usage import Usage
from tidegate.ledger.record import SpoolRecord
from tidegate.ledger.spool import Spool
from tidegate.store.ledger import Ledger

ANSWERED = """\
✓ answered 200  call-0
│ eu-ptu timed out; openai answered
├─ call
│    when       2023-11-14 22:15:00.000 UTC
│    who        chatbot of team support, key 0123456789ab…
│    asked      gpt-4.1 (chat, openai)
│    served by  openai/gpt-4.1-2025-04-14
│    snapshot   abcdef
│    tags       app=shop
├─ claims worst case, reserved before the call
│    ✓ consumer/chatbot/requests/60s  +1 request  3 of 600 requests  0 % used before
│    ✓ team/support/money/month       +$0.0025    $12.3456 of $500   2 % used before
├─ candidates weighted
│    ✓ eu-ptu            azure-ptu/gpt-4.1-eu  priority 0  score 0.25
│    ✗ openai-2/gpt-4.1                        priority 1  circuit open, retry in 8 s
├─ attempts
│    ✗ 1  eu-ptu          credential 0     at 0.4 ms  took 5.00 s    first-byte-timeout  no byte within 5 s
│    ✓ 2  openai/gpt-4.1  credential main  at 5.00 s  took 449.3 ms  200 ok
├─ usage
│    input               100 tokens
│    cached input         20 tokens
│    output               30 tokens
│    total               150 tokens, reported
├─ cost
│    cost  $0.0000015  config
├─ time
│    first byte  12 ms
│    total       5.45 s
└─ notes
     spilled: eu-ptu is at 97 %"""

REFUSED = """\
✗ refused 429 budget_exceeded  call-1
│ team support has spent its budget of $5 for this month
├─ call
│    when       2023-11-14 22:15:00.000 UTC
│    who        chatbot of team support, key 0123456789ab…
│    asked      gpt-4.1 (chat, openai, stream)
│    served by  no upstream
│    snapshot   abcdef
├─ claims worst case, reserved before the call
│    · consumer/chatbot/tokens/60s  +20,022 tokens  of 200,000 tokens  not taken
│    ✗ team/support/money/month     +$0.0025        $4.9999 of $5      $0.0024 too much
└─ time
     total  0 ms"""


def answered() -> SpoolRecord:
    event = make_event(total_ms=5450, tags={"app": "shop"})
    return SpoolRecord(event, make_decision(notes=["spilled: eu-ptu is at 97 %"]))


def refused() -> SpoolRecord:
    event = make_event(
        1,
        outcome="refused",
        status=429,
        code="budget_exceeded",
        provider="",
        upstream_model="",
        stream=True,
        usage=Usage(),
        cost_nano=0,
        charged_nano=0,
        first_byte_ms=None,
        total_ms=0,
    )
    claims = [
        ClaimRecord("consumer/chatbot/tokens/60s", "tokens", 20_022, 200_000, -1),
        ClaimRecord("team/support/money/month", "money", 2_500_000, 5_000_000_000, 4_999_900_000),
    ]
    reason = "team support has spent its budget of $5 for this month"
    return SpoolRecord(
        event, make_decision("call-1", outcome="refused", reason=reason, claims=claims, candidates=[], attempts=[])
    )


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="tidegate")
    explain.register(parser.add_subparsers())
    args = parser.parse_args(["explain", *arguments])
    return args.run(args)


@pytest.mark.parametrize(("record", "expected"), [(answered(), ANSWERED), (refused(), REFUSED)])
def test_the_tree(record: SpoolRecord, expected: str) -> None:
    assert "\n".join(tree(record.event, record.decision)) == expected


def test_colours_change_no_column() -> None:
    record = answered()
    coloured = "\n".join(tree(record.event, record.decision, ansi))
    assert coloured != ANSWERED
    assert re.sub(r"\x1b\[\d+m", "", coloured) == ANSWERED


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("failed", "✗ failed"), ("cancelled", "○ cancelled by the client"), ("cut", "○ cut after its first byte")],
)
def test_each_outcome_has_its_words(outcome: str, words: str) -> None:
    event = make_event(outcome=outcome, code="upstream_error", status=502)
    assert tree(event, make_decision(outcome=outcome))[0] == f"{words} 502 upstream_error  call-0"


def test_a_long_reason_is_wrapped() -> None:
    lines = tree(make_event(), make_decision(reason="word " * 50))
    assert [line[:7] for line in lines[1:4]] == ["│ word "] * 3
    assert max(map(len, lines)) < 120


def test_unknown_cost_and_usage_are_said_to_be_unknown() -> None:
    event = make_event(cost_nano=None, charged_nano=2_000_000, usage=Usage(raw=b'{"odd":1}'))
    lines = tree(event, make_decision())
    assert "│    unknown: the upstream told none" in lines
    assert "│    cost     unknown" in lines
    assert "│    charged  $0.002 to the budgets" in lines


def test_a_soft_budget_that_is_over_is_marked_but_not_as_a_refusal() -> None:
    claims = [ClaimRecord("team/support/money/month", "money", 5, 10, 8)]
    assert any(line.startswith("│    ! team/support") for line in tree(make_event(), make_decision(claims=claims)))


def test_what_clients_named_cannot_command_the_terminal() -> None:
    event = make_event(tags={"a\x1b[2J": "b\nc"}, model="\x9b31m")
    text = "\n".join(tree(event, make_decision(reason="\x07")))
    assert not re.search(r"[^\n -~│├└─✓✗…]", text)
    assert r"a\x1b[2J=b\x0ac" in text


def test_explain_reads_the_spool_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool = Spool(tmp_path / "spool" / "worker-0", clock=ManualClock(), segment_bytes=65_536)
    spool.append(answered())
    assert call("call-0", "--data-dir", str(tmp_path)) == 0
    assert capsys.readouterr().out == ANSWERED + "\n"
    spool.close()


def test_last_is_the_call_that_arrived_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.add([make_record(number) for number in (2, 0, 1)])
    assert call("last", "--data-dir", str(tmp_path)) == 0
    assert "call-2" in capsys.readouterr().out


def test_a_call_without_decision_is_told_with_what_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.add([SpoolRecord(make_event())])
    assert call("call-0", "--data-dir", str(tmp_path)) == 0
    assert "none was kept: logging is off for this consumer" in capsys.readouterr().out
    assert call("call-0", "--json", "--data-dir", str(tmp_path)) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["id", "event"]


def test_json_names_every_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.add([make_record(0, cost_nano=None)])
    assert call("call-0", "--json", "--data-dir", str(tmp_path)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["claims"][1] == {
        "bucket": "team/support/money/month",
        "kind": "money",
        "amount": 2_500_000,
        "limit": 500_000_000_000,
        "used": 12_345_600_000,
    }
    assert told["candidates"][1]["excluded"] == "circuit open, retry in 8 s"
    assert told["attempts"][0]["outcome"] == "first-byte-timeout"
    assert (told["event"]["time_ns"], told["event"]["cost_usd"], told["event"]["charged_usd"]) == (
        START_NS,
        None,
        "0.0000015",
    )
    assert told["event"]["usage"]["raw"] == {"prompt_tokens": 120, "completion_tokens": 30}


def test_usage_that_was_no_json_is_shown_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.add([make_record(0, usage=Usage(raw=b"{broken \xff"))])
    assert call("call-0", "--json", "--data-dir", str(tmp_path)) == 0
    assert json.loads(capsys.readouterr().out)["event"]["usage"]["raw"] == "{broken \ufffd"


def test_an_unknown_id_is_told_with_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("nope", "--data-dir", str(tmp_path)) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "no call nope in" in told.err
    assert "x-tidegate-decision" in told.err


def test_a_missing_data_directory_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("nope", "--data-dir", str(tmp_path / "no")) == 1
    assert "TIDEGATE_DATA_DIR" in capsys.readouterr().err
