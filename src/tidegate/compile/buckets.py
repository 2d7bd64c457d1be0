"""Limits and budgets → the buckets that calls claim from. Keys are stable: the ledger and people know them."""

from collections.abc import Iterable
from typing import Final

from tidegate.config.limits import Budget, Limits
from tidegate.core.claims import Bucket, ClaimKind, Window
from tidegate.core.money import nano_from_usd

LIMIT_FIELDS: Final[tuple[tuple[str, ClaimKind, int], ...]] = (
    ("requests_per_minute", "requests", 60),
    ("requests_per_hour", "requests", 3_600),
    ("requests_per_day", "requests", 86_400),
    ("tokens_per_minute", "tokens", 60),
    ("tokens_per_hour", "tokens", 3_600),
    ("tokens_per_day", "tokens", 86_400),
)
"""(field of Limits, what it counts, window in seconds); also the order of the buckets."""


def limit_buckets(owner: str, limits: Limits) -> list[Bucket]:
    """`owner` is the key's beginning, such as `consumer/chatbot`."""
    buckets: list[Bucket] = []
    for field, kind, seconds in LIMIT_FIELDS:
        limit = getattr(limits, field)
        if limit is not None:
            key = f"{owner}/{kind}/{seconds}s"
            buckets.append(Bucket(key=key, kind=kind, limit=limit, window=Window(seconds=seconds)))
    if limits.concurrent is not None:
        key = f"{owner}/concurrency"
        buckets.append(Bucket(key=key, kind="concurrency", limit=limits.concurrent, window=Window()))
    return buckets


def budget_buckets(owner: str, budgets: Iterable[Budget]) -> list[Bucket]:
    """One bucket of nano-USD per budget."""
    return [
        Bucket(
            key=f"{owner}/money/{budget.period}",
            kind="money",
            limit=nano_from_usd(budget.usd),
            window=Window(period=budget.period, timezone=budget.timezone),
            soft=budget.soft,
        )
        for budget in budgets
    ]
