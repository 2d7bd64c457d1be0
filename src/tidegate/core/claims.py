"""What a call asks of limits and budgets, and the answer."""

from typing import Literal

from msgspec import Struct

ClaimKind = Literal["requests", "tokens", "money", "concurrency"]
Period = Literal["hour", "day", "week", "month"]


class Window(Struct, frozen=True, kw_only=True):
    """Over what a bucket counts.

    A Limit has `seconds`: any span of that length, sliding. A Budget has `period` and `timezone`: the calendar period
    that holds the moment, there. Concurrency has neither: what is in flight now.
    """

    seconds: int | None = None
    period: Period | None = None
    timezone: str = "UTC"


class Bucket(Struct, frozen=True, kw_only=True):
    """One counter, made at compile time; amounts are requests, tokens, nano-USD or calls in flight by `kind`."""

    key: str
    """Stable identity, e.g. `consumer/chatbot/tokens/60s` or `team/support/money/month`. Also the name people see."""
    kind: ClaimKind
    limit: int
    window: Window
    soft: bool = False
    """A soft budget counts and alarms but never refuses."""


class Claims(Struct, frozen=True):
    """What a call asks for, all or nothing: of each bucket the amount beside it, worst case."""

    buckets: tuple[Bucket, ...]
    amounts: list[int]


class Level(Struct, frozen=True):
    """How full a bucket is: `used` includes what is reserved."""

    bucket: Bucket
    used: int
    resets_at_ns: int


class Refusal(Struct, frozen=True):
    """The first claim that does not fit. `never_fits`: the amount alone is over the limit."""

    bucket: Bucket
    used: int
    amount: int
    resets_at_ns: int
    never_fits: bool = False
