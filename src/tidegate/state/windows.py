"""Over what a bucket counts: sliding spans for limits, calendar periods for budgets. Pure in the time given."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from tidegate.core.claims import Period

SLOTS: Final = 60
"""A sliding span is counted in so many slots; a refused caller may wait up to one slot longer than strictly needed."""


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def period_bounds(period: Period, timezone: str, now_ns: int) -> tuple[int, int]:
    """[start, end) of the calendar period around `now_ns`, as people in `timezone` see it, in ns since the epoch.

    A week begins on Monday (ISO 8601). An hour is one of the wall clock that is also one of time: where the clock
    is put back, the repeated hour is a period of its own.
    """
    zone = _zone(timezone)
    local = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(zone)
    if period == "hour":
        into = timedelta(minutes=local.minute, seconds=local.second)
        start = local.astimezone(UTC) - into
        return _ns(start), _ns(start + timedelta(hours=1))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None)
    if period == "day":
        first, last = midnight, midnight + timedelta(days=1)
    elif period == "week":
        first = midnight - timedelta(days=midnight.weekday())
        last = first + timedelta(days=7)
    else:
        first = midnight.replace(day=1)
        last = (first + timedelta(days=32)).replace(day=1)
    return _ns(first.replace(tzinfo=zone)), _ns(last.replace(tzinfo=zone))


def _ns(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000_000
