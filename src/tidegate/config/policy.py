"""`kind: AIAPIGatewayPolicy`: rules for a scope of teams, consumers and models."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from tidegate.config.limits import Limits
from tidegate.config.metadata import Metadata


class Scope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """To whom a policy applies: calls that match every list that is there. `*` and `?` are allowed."""

    teams: tuple[str, ...] | None = None
    """Names of Teams; absent: all."""
    consumers: tuple[str, ...] | None = None
    """Names of Consumers; absent: all."""
    models: tuple[str, ...] | None = None
    """Names of Models; absent: all."""


class Logging(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    enabled: bool = True
    """`false`: calls in scope leave no line in the access log. Usage is recorded always."""
    retention_days: Annotated[int, Meta(ge=1)] | None = None
    """Days that records of calls are kept. Holds for the whole gateway, so the policy must have no scope."""


class Match(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    region: str
    """The consumer's `metadata.labels.region`; where it has none, what a call says in `x-tidegate-region`. Case does
    not matter."""


class EndpointRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    match: Match
    """Which calls it takes."""
    route_to: str
    """A Model's name, else a Provider's: then only the asked model's targets at that provider serve."""


class EndpointRouting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    rules: tuple[EndpointRule, ...]
    """The first that matches is taken."""


class PolicySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    not_yet: ClassVar[tuple[str, ...]] = (
        "authentication", "authorization", "contentModeration", "guards", "cache", "prompts", "transform", "residency",
        "experiments", "retries", "budget",
    )  # fmt: skip

    scope: Scope = Scope()
    """To whom it applies; absent: to everything."""
    rate_limit: Limits | None = None
    """For each consumer in scope by itself; with `scope.models`, for each of these models by itself too."""
    logging: Logging | None = None
    """The access log, and how long records are kept."""
    endpoint_routing: EndpointRouting | None = None
    """Where calls go, by the consumer's region."""


class AIAPIGatewayPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A named set of rules attached to a scope."""

    api_version: Literal["tidegate/v1", "v1"] = "tidegate/v1"
    """The version of this format; `v1` is accepted too."""
    kind: Literal["AIAPIGatewayPolicy"] = "AIAPIGatewayPolicy"
    """Which resource this is."""
    metadata: Metadata
    """Its name and labels."""
    spec: PolicySettings
    """The rules."""
