"""Rates that refuse everything, or that can never refuse anything."""

from collections.abc import Iterator
from itertools import combinations

from tidegate.compile.buckets import LIMIT_FIELDS
from tidegate.compile.rules.rule import Hit, Subject
from tidegate.config.finding import Path
from tidegate.config.limits import Limits
from tidegate.config.resources import Resource

_KEYS = {
    "requests_per_minute": "requestsPerMinute",
    "requests_per_hour": "requestsPerHour",
    "requests_per_day": "requestsPerDay",
    "tokens_per_minute": "tokensPerMinute",
    "tokens_per_hour": "tokensPerHour",
    "tokens_per_day": "tokensPerDay",
    "concurrent": "concurrent",
}


def _all_limits(subject: Subject) -> Iterator[tuple[Resource, Path, Limits]]:
    for team in subject.resources.teams:
        yield team, ("spec", "limits"), team.spec.limits
    for consumer in subject.resources.consumers:
        yield consumer, ("spec", "limits"), consumer.spec.limits
    for policy in subject.resources.policies:
        if policy.spec.rate_limit is not None:
            yield policy, ("spec", "rateLimit"), policy.spec.rate_limit


def limit_of_zero(subject: Subject) -> Iterator[Hit]:
    """A limit of 0 refuses every call."""
    for resource, path, limits in _all_limits(subject):
        for field, key in _KEYS.items():
            if getattr(limits, field) == 0:
                hint = "To bar calls, take the Models or the keys away; to lift the limit, remove it."
                yield Hit(resource, (*path, key), "a limit of 0 refuses every call", hint)


def limit_never_reached(subject: Subject) -> Iterator[Hit]:
    """Of two limits of the same kind, one stops calls always before the other can."""
    for resource, path, limits in _all_limits(subject):
        for (short, kind, seconds), (long, other_kind, longer) in combinations(LIMIT_FIELDS, 2):
            low, high = getattr(limits, short), getattr(limits, long)
            if kind != other_kind or not low or not high:
                continue
            if high <= low:
                message = f"{_KEYS[short]} of {low} can never be reached: {_KEYS[long]} allows {high}"
                yield Hit(resource, (*path, _KEYS[short]), message, "Lower it, or remove it.")
            elif high >= (most := low * longer // seconds):
                message = f"{_KEYS[long]} of {high} can never be reached: {_KEYS[short]} allows {most}"
                yield Hit(resource, (*path, _KEYS[long]), message, "Lower it, or remove it.")


def limit_above_team(subject: Subject) -> Iterator[Hit]:
    """A consumer's limit is not below the one that its whole team shares."""
    for consumer in subject.resources.consumers:
        team = subject.access.teams.get(consumer.spec.team)
        for field, key in _KEYS.items():
            own = getattr(consumer.spec.limits, field)
            shared = getattr(team.spec.limits, field) if team is not None else None
            if own is not None and shared is not None and own > shared:
                message = f"{key} of {own} can never be reached: the Team `{consumer.spec.team}` shares {shared}"
                yield Hit(consumer, ("spec", "limits", key), message, "Lower it, or raise the team's.")
