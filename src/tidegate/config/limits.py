"""Limits and budgets, as Teams, Consumers and policies state them."""

from typing import Annotated

from msgspec import Meta, Struct

from tidegate.config.scalars import Timezone, Usd
from tidegate.core.claims import Period

Count = Annotated[int, Meta(ge=0)]


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Rates over sliding windows. Several hold at once; an absent one does not limit."""

    requests_per_minute: Count | None = None
    """Calls in any 60 seconds."""
    requests_per_hour: Count | None = None
    """Calls in any 3,600 seconds."""
    requests_per_day: Count | None = None
    """Calls in any 86,400 seconds."""
    tokens_per_minute: Count | None = None
    """Input and output tokens in any 60 seconds: estimated before a call, corrected after it."""
    tokens_per_hour: Count | None = None
    """Input and output tokens in any 3,600 seconds."""
    tokens_per_day: Count | None = None
    """Input and output tokens in any 86,400 seconds."""
    concurrent: Count | None = None
    """Calls in flight at the same time."""


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Money per calendar period: reserved before each call, settled after it."""

    usd: Usd
    """The most that may be spent in one period, in US dollars."""
    period: Period
    """Calendar period, in `timezone`: a month is a calendar month, a week begins on Monday."""
    timezone: Timezone = "UTC"
    """Where the period begins and ends."""
    soft: bool = False
    """A soft budget is counted and reported, but refuses nothing."""
