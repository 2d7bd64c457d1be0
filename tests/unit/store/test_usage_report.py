"""`usage` against sums made by hand, over any window and any dimensions."""

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.usage_records import START_NS, make_event

from tidegate.core.clock import ManualClock
from tidegate.core.money import usd_from_nano
from tidegate.core.usage import Usage, UsageEvent
from tidegate.ledger.record import SpoolRecord
from tidegate.store.ledger import Ledger
from tidegate.store.schema import GRAIN_NS
from tidegate.store.usage_report import DIMENSIONS, UnknownDimension

MINUTE_NS = 60 * 1_000_000_000


def some_events() -> list[UsageEvent]:
    """Three hours of calls, one each 97 seconds, of several teams, models and outcomes."""
    served = {"cache_read": 7, "output": 3, "reasoning": 2, "source": "reported"}
    outcomes = (("ok", 200), ("ok", 200), ("refused", 429), ("failed", 502), ("cancelled", 200))
    events: list[UsageEvent] = []
    for number in range(110):
        outcome, status = outcomes[number % 5]
        refused = outcome == "refused"
        events.append(
            make_event(
                number,
                time_ns=START_NS + number * 97 * 1_000_000_000,
                team=("support", "research")[number % 2],
                consumer=f"app-{number % 3}",
                model=("gpt-4.1", "mini")[number % 7 == 0],
                outcome=outcome,
                status=status,
                cost_nano=None if number % 11 == 0 else 0 if refused else number * 1_000_003,
                charged_nano=0 if refused else number * 1_000_003,
                usage=Usage() if refused else Usage(input=number, **served),
                tags={"app": f"a{number % 2}", 'odd "$.name': "x"} if number % 3 else {},
            )
        )
    return events


EVENTS = some_events()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Ledger.open(tmp_path_factory.mktemp("ledger")) as made:
        made.add([SpoolRecord(event) for event in EVENTS])
        yield made


def dimension(event: UsageEvent, name: str) -> Any:
    if name.startswith("tag:"):
        return event.tags.get(name[4:], "")
    when = datetime.fromtimestamp(event.time_ns // 1_000_000_000, UTC)
    if name == "day":
        return f"{when:%Y-%m-%d}"
    return f"{when:%Y-%m-%dT%H}:00Z" if name == "hour" else getattr(event, name)


def expected(by: list[str], since_ns: int, until_ns: int, where: dict[str, str]) -> list[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[UsageEvent]] = defaultdict(list)
    if not by:
        groups[()] = []
    for event in EVENTS:
        if since_ns <= event.time_ns < until_ns and all(str(dimension(event, n)) == v for n, v in where.items()):
            groups[tuple(dimension(event, name) for name in by)].append(event)
    rows: list[dict[str, Any]] = []
    for key, events in sorted(groups.items()):
        served = [event for event in events if event.outcome != "refused"]
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "requests": len(served),
                "refused": len(events) - len(served),
                "input_tokens": sum(event.usage.input_total for event in events),
                "cached_input_tokens": sum(event.usage.cache_read for event in events),
                "output_tokens": sum(event.usage.output_total for event in events),
                "cost_usd": usd_from_nano(sum(event.cost_nano or 0 for event in events)),
                "unknown_cost_requests": sum(event.cost_nano is None for event in served),
            }
        )
    return rows


@pytest.mark.parametrize("name", [*DIMENSIONS, "tag:app", 'tag:odd "$.name'])
def test_by_each_dimension(ledger: Ledger, name: str) -> None:
    assert ledger.usage([name]) == expected([name], 0, 2**63, {})


@settings(max_examples=120, deadline=None)
@given(
    by=st.lists(st.sampled_from([*DIMENSIONS, "tag:app"]), max_size=3, unique=True),
    since=st.integers(-5, 190),
    length=st.integers(-2, 190),
    where=st.dictionaries(
        st.sampled_from(["team", "model", "status", "tag:app", "hour"]),
        st.sampled_from(["support", "gpt-4.1", "200", "a1", "2023-11-14T23:00Z"]),
        max_size=2,
    ),
)
def test_any_window_and_dimensions_are_exact(
    ledger: Ledger, by: list[str], since: int, length: int, where: dict[str, str]
) -> None:
    start = START_NS + since * MINUTE_NS
    end = start + length * MINUTE_NS
    assert ledger.usage(by, start, end, where) == expected(by, start, end, where)


def test_without_dimensions_there_is_one_row_even_of_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as empty:
        assert empty.usage() == [
            {
                "requests": 0,
                "refused": 0,
                "input_tokens": 0,
                "cached_input_tokens": 0,
                "output_tokens": 0,
                "cost_usd": "0",
                "unknown_cost_requests": 0,
            }
        ]
        assert empty.usage(["team"]) == []


@pytest.mark.parametrize(
    ("name", "hint"), [("taem", "did you mean `team`"), ("zzz", "there are team"), ("tag:", "and tag:NAME")]
)
def test_an_unknown_dimension_is_told_with_what_was_perhaps_meant(ledger: Ledger, name: str, hint: str) -> None:
    for arguments in ([name], None, None, None), ([], None, None, {name: "x"}):
        with pytest.raises(UnknownDimension, match=f"unknown dimension `{name}`.*{hint}"):
            ledger.usage(*arguments)


def test_money_beyond_64_bits_is_exact(tmp_path: Path) -> None:
    """As many dear calls as it takes to leave 64 bits: in two slots, so that a rollup holds its part."""
    each = 10**15 - 1
    with Ledger.open(tmp_path) as rich:
        for slot in range(2):
            when = START_NS + slot * GRAIN_NS
            calls = [make_event(n, id=f"{slot}-{n}", time_ns=when, cost_nano=each) for n in range(5000)]
            rich.add([SpoolRecord(call) for call in calls])
        [row] = rich.usage()
    assert row["cost_usd"] == usd_from_nano(10_000 * each)
    assert 10_000 * each > 2**63


def test_after_pruning_whole_slots_are_told(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, ManualClock(START_NS + 97 * MINUTE_NS)) as pruned:
        pruned.add([SpoolRecord(event) for event in EVENTS])
        pruned.prune(0)
        for since, until, told_since, told_until in (
            (20, 1000, 15, 1000),
            (20, 22, 15, 30),
            (0, 80, 0, 90),
            (92, 96, 92, 96),
            (20, 96, 15, 96),
        ):
            told = pruned.usage(since_ns=START_NS + since * MINUTE_NS, until_ns=START_NS + until * MINUTE_NS)
            assert told == expected([], START_NS + told_since * MINUTE_NS, START_NS + told_until * MINUTE_NS, {})
