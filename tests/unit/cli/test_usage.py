"""`tidegate usage` as people and scripts call it."""

import argparse
import csv
import io
import json
from pathlib import Path

import pytest
from tests.support.usage_records import START_NS, make_record

from tidegate.cli import usage
from tidegate.core.clock import ManualClock
from tidegate.ledger.spool import Spool
from tidegate.store.file_lock import file_lock
from tidegate.store.ledger import FILE_NAME, Ledger

DAY_NS = 86_400 * 1_000_000_000


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="tidegate")
    usage.register(parser.add_subparsers())
    args = parser.parse_args(["usage", *arguments])
    return args.run(args)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Four calls of two teams in the spool of a gateway that is still running, or was killed."""
    spool = Spool(tmp_path / "spool" / "worker-0", clock=ManualClock(), segment_bytes=65_536)
    spool.append(make_record(0, cost_nano=1_234_567))
    spool.append(make_record(1, cost_nano=12_000_000_000, team="research", model="mini"))
    spool.append(make_record(2, cost_nano=None))
    spool.append(make_record(3, cost_nano=0, outcome="refused", status=429, time_ns=START_NS + DAY_NS))
    spool.close()
    return tmp_path


def test_json_is_the_contracts_array(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--by", "team,model", "--json", "--data-dir", str(data_dir)) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "team": "research",
            "model": "mini",
            "requests": 1,
            "refused": 0,
            "input_tokens": 120,
            "cached_input_tokens": 20,
            "output_tokens": 30,
            "cost_usd": "12",
            "unknown_cost_requests": 0,
        },
        {
            "team": "support",
            "model": "gpt-4.1",
            "requests": 2,
            "refused": 1,
            "input_tokens": 360,
            "cached_input_tokens": 60,
            "output_tokens": 90,
            "cost_usd": "0.001234567",
            "unknown_cost_requests": 1,
        },
    ]


def test_csv_has_a_header_and_the_same_rows(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--by", "team", "--csv", "--data-dir", str(data_dir)) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["team"], row["requests"], row["cost_usd"]) for row in rows] == [
        ("research", "1", "12"),
        ("support", "2", "0.001234567"),
    ]


def test_the_table_is_aligned_and_has_a_total(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--by", "team,model", "--data-dir", str(data_dir)) == 0
    assert capsys.readouterr().out == (
        "team      model    requests  refused  input tokens  cached  output tokens      cost USD  cost unknown\n"
        "────────  ───────  ────────  ───────  ────────────  ──────  ─────────────  ────────────  ────────────\n"
        "research  mini            1        0           120      20             30  12.000000000             0\n"
        "support   gpt-4.1         2        1           360      60             90   0.001234567             1\n"
        "────────  ───────  ────────  ───────  ────────────  ──────  ─────────────  ────────────  ────────────\n"
        "total                     3        1           480      80            120  12.001234567             1\n"
        "\n"
        "1 of the requests have an unknown cost, which is not in the sum: give their models a price.\n"
    )


def test_without_by_there_is_one_row(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--json", "--data-dir", str(data_dir)) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["requests"], row["cost_usd"]) == (3, "12.001234567")


def test_columns_of_zeros_are_left_out_of_the_table(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--where", "team=research", "--data-dir", str(data_dir)) == 0
    told = capsys.readouterr().out
    assert "refused" not in told
    assert "unknown" not in told


def test_since_and_until_cut(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--since", "2023-11-15", "--json", "--data-dir", str(data_dir)) == 0
    assert [row["refused"] for row in json.loads(capsys.readouterr().out)] == [1]
    assert call("--until", "2023-11-15T00:00Z", "--by", "team", "--json", "--data-dir", str(data_dir)) == 0
    assert [row["refused"] for row in json.loads(capsys.readouterr().out)] == [0, 0]


def test_nothing_in_that_time(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--since", "2024-01-01", "--by", "team", "--data-dir", str(data_dir)) == 0
    assert capsys.readouterr().out == "no calls in that time\n"


def test_a_name_from_a_client_cannot_command_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.add([make_record(0, model="\x1b[2Jgone\n")])
    assert call("--by", "model", "--data-dir", str(tmp_path)) == 0
    assert "?[2Jgone?" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "taem"], "unknown dimension `taem`: did you mean `team`?"),
        (["--where", "modle=x"], "did you mean `model`?"),
        (["--where", "team"], "write DIM=VALUE"),
        (["--since", "yesterday"], "`yesterday` is no time: write 30m, 12h, 7d"),
        (["--until", "7"], "`7` is no time"),
    ],
)
def test_wrong_arguments_are_told(
    data_dir: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert call(*arguments, "--data-dir", str(data_dir)) == 2
    told = capsys.readouterr()
    assert (told.out, message in told.err) == ("", True)


def test_a_missing_data_directory_is_told_and_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--data-dir", str(tmp_path / "no")) == 1
    assert "--data-dir or TIDEGATE_DATA_DIR" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_ledger_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE_NAME).write_text("not a database, but long enough to be looked at as one" * 20)
    assert call("--data-dir", str(tmp_path)) == 1
    assert "cannot be read: file is not a database" in capsys.readouterr().err


def test_when_ingestion_cannot_run_what_is_known_is_reported_with_a_warning(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.cli.data_dir.INGEST_PATIENCE_SECONDS", 0.0)
    with file_lock(data_dir / "ingest.lock", 0):
        assert call("--json", "--data-dir", str(data_dir)) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)[0]["requests"] == 0
    assert "the newest calls may be missing: another process has held" in told.err


def test_the_data_directory_comes_from_the_environment(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_DATA_DIR", str(data_dir))
    assert call("--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["requests"] == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 1_700_000_000 - 45),
        ("30m", 1_700_000_000 - 1800),
        ("12h", 1_700_000_000 - 43_200),
        ("7d", 1_700_000_000 - 604_800),
        ("2w", 1_700_000_000 - 1_209_600),
        ("2023-11-14", 1_699_920_000),
        ("2023-11-14T22:13:20", 1_700_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000),
        ("1970-01-01", 0),
    ],
)
def test_moments(text: str, seconds: int) -> None:
    assert usage.moment(text, ManualClock()) == seconds * 1_000_000_000


def test_a_moment_keeps_microseconds_exactly() -> None:
    assert usage.moment("2023-11-14T22:13:20.123457", ManualClock()) == 1_700_000_000_123_457_000
