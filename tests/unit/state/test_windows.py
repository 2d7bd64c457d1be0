"""Calendar periods, as people in a time zone see them."""

from datetime import UTC, datetime

import pytest

from tidegate.core.claims import Period
from tidegate.state.windows import period_bounds


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"),
    [
        ("hour", "UTC", "2026-03-01T10:59:59+00:00", "2026-03-01T10:00+00:00", "2026-03-01T11:00+00:00"),
        ("hour", "Asia/Kathmandu", "2026-03-01T10:20+05:45", "2026-03-01T10:00+05:45", "2026-03-01T11:00+05:45"),
        ("day", "UTC", "2026-12-31T23:59:59+00:00", "2026-12-31T00:00+00:00", "2027-01-01T00:00+00:00"),
        ("day", "Europe/Berlin", "2026-03-29T12:00+02:00", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        ("day", "Europe/Berlin", "2026-10-25T12:00+01:00", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("week", "UTC", "2026-11-22T23:00+00:00", "2026-11-16T00:00+00:00", "2026-11-23T00:00+00:00"),
        ("week", "America/New_York", "2026-11-23T04:00+00:00", "2026-11-16T00:00-05:00", "2026-11-23T00:00-05:00"),
        ("month", "UTC", "2028-02-29T12:00+00:00", "2028-02-01T00:00+00:00", "2028-03-01T00:00+00:00"),
        ("month", "Europe/Berlin", "2026-10-31T23:30+01:00", "2026-10-01T00:00+02:00", "2026-11-01T00:00+01:00"),
        ("month", "Pacific/Auckland", "2026-12-31T11:30+00:00", "2027-01-01T00:00+13:00", "2027-02-01T00:00+13:00"),
    ],
)
def test_bounds(period: Period, zone: str, now: str, start: str, end: str) -> None:
    assert period_bounds(period, zone, at(now)) == (at(start), at(end))


def test_the_repeated_hour_is_a_period_of_its_own() -> None:
    first = period_bounds("hour", "Europe/Berlin", at("2026-10-25T02:30+02:00"))
    second = period_bounds("hour", "Europe/Berlin", at("2026-10-25T02:30+01:00"))
    assert first[1] == second[0]


@pytest.mark.parametrize("period", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"])
def test_periods_follow_each_other_without_a_gap(period: Period, zone: str) -> None:
    now = at("2026-01-01T00:00+00:00")
    for _ in range(400):
        start, end = period_bounds(period, zone, now)
        assert start <= now < end
        assert period_bounds(period, zone, end)[0] == end
        now = end
