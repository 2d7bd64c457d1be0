"""Policies that concern nobody, contradict each other, or come too late."""

from collections.abc import Iterator

from tidegate.compile.names import selected
from tidegate.compile.rules.rule import Hit, Subject
from tidegate.config.consumer import Consumer
from tidegate.config.finding import did_you_mean
from tidegate.config.limits import Limits
from tidegate.config.policy import AIAPIGatewayPolicy, EndpointRule


def _rules(policy: AIAPIGatewayPolicy) -> tuple[EndpointRule, ...]:
    return policy.spec.endpoint_routing.rules if policy.spec.endpoint_routing is not None else ()


def policy_without_rules(subject: Subject) -> Iterator[Hit]:
    """A policy demands nothing."""
    for policy in subject.resources.policies:
        spec = policy.spec
        empty_rate = spec.rate_limit is None or spec.rate_limit == Limits()
        if empty_rate and spec.logging is None and not _rules(policy):
            hint = "Add `rateLimit`, `logging` or `endpointRouting`, or remove the policy."
            yield Hit(policy, ("spec",), "the policy demands nothing", hint)


def scope_matches_nothing(subject: Subject) -> Iterator[Hit]:
    """An entry of a scope means nothing that exists, or all of them together mean no consumer."""
    known = {
        "teams": [one.metadata.name for one in subject.resources.teams],
        "consumers": [one.metadata.name for one in subject.resources.consumers],
        "models": list(subject.models),
    }
    for policy in subject.resources.policies:
        sound = True
        for key, names in known.items():
            for index, pattern in enumerate(getattr(policy.spec.scope, key) or ()):
                if not selected([pattern], names):
                    sound = False
                    hint = did_you_mean(pattern, names, key)
                    yield Hit(policy, ("spec", "scope", key, index), f"`{pattern}` matches none of the {key}", hint)
        if sound and not subject.access.consumers_in[policy.metadata.name]:
            hint = "Widen it, or remove the policy."
            yield Hit(policy, ("spec", "scope"), "no consumer is in the policy's scope", hint)


def limit_on_model_nobody_may_call(subject: Subject) -> Iterator[Hit]:
    """A policy limits Models that no consumer in its scope may call."""
    for policy in subject.resources.policies:
        members = subject.access.consumers_in[policy.metadata.name].values()
        may = {name for one in members for name in subject.access.callable_by[one.metadata.name]}
        for index, pattern in enumerate(policy.spec.scope.models or ()):
            named = selected([pattern], subject.models)
            if policy.spec.rate_limit is not None and members and named and not named & may:
                message = f"no consumer in scope may call what `{pattern}` matches, so the limit never takes effect"
                path = ("spec", "scope", "models", index)
                yield Hit(policy, path, message, "Remove it, or let a consumer call it.")


def models_scope_unused(subject: Subject) -> Iterator[Hit]:
    """Only rate limits can be scoped to models."""
    for policy in subject.resources.policies:
        if policy.spec.scope.models is None:
            continue
        for key, demanded in (("logging", policy.spec.logging), ("endpointRouting", policy.spec.endpoint_routing)):
            if demanded is not None:
                message = f"this version cannot scope `{key}` to models: it refuses rather than ignores `scope.models`"
                yield Hit(policy, ("spec", key), message, "Move it to a policy without `scope.models`.")


def retention_with_scope(subject: Subject) -> Iterator[Hit]:
    """Records are kept for one time in the whole gateway, so a scope cannot narrow it."""
    for policy in subject.resources.policies:
        logging, scope = policy.spec.logging, policy.spec.scope
        scoped = scope.teams is not None or scope.consumers is not None
        if logging is not None and logging.retention_days is not None and scoped:
            message = "`retentionDays` holds for the whole gateway and cannot be scoped"
            path = ("spec", "logging", "retentionDays")
            yield Hit(policy, path, message, "Move it to a policy without a scope.")


def contradicting_retention(subject: Subject) -> Iterator[Hit]:
    """Two policies keep records for different times."""
    first: tuple[str, int] | None = None
    for policy in subject.resources.policies:
        days = policy.spec.logging.retention_days if policy.spec.logging is not None else None
        if days is None:
            continue
        if first is None:
            first = (policy.metadata.name, days)
        elif days != first[1]:
            message = f"the policy `{first[0]}` keeps records for {first[1]} days, this one for {days}"
            yield Hit(policy, ("spec", "logging", "retentionDays"), message, "State it once.")


def contradicting_logging(subject: Subject) -> Iterator[Hit]:
    """One policy logs the calls of a consumer, another does not."""
    first: dict[str, AIAPIGatewayPolicy] = {}
    for policy in subject.resources.policies:
        logging = policy.spec.logging
        for name in subject.access.consumers_in[policy.metadata.name] if logging is not None else ():
            other = first.setdefault(name, policy)
            if logging is not None and other.spec.logging is not None and other.spec.logging.enabled != logging.enabled:
                message = f"the policy `{other.metadata.name}` says otherwise for the Consumer `{name}`"
                hint = "Narrow the scope of one of them."
                yield Hit(policy, ("spec", "logging", "enabled"), message, hint)
                break


def _may_be_from(consumer: Consumer, region: str) -> bool:
    """A consumer without a region of its own can name any with each call."""
    own = consumer.metadata.labels.get("region")
    return own is None or own.casefold() == region.casefold()


def region_of_nobody(subject: Subject) -> Iterator[Hit]:
    """An endpoint rule is for a region that no consumer in scope can have."""
    for policy in subject.resources.policies:
        members = subject.access.consumers_in[policy.metadata.name].values()
        for index, rule in enumerate(_rules(policy)):
            if members and not any(_may_be_from(one, rule.match.region) for one in members):
                path = ("spec", "endpointRouting", "rules", index, "match", "region")
                regions = sorted({one.metadata.labels["region"] for one in members})
                hint = did_you_mean(rule.match.region, regions, "regions")
                yield Hit(policy, path, f"no consumer in scope has the region `{rule.match.region}`", hint)


def shadowed_endpoint_rule(subject: Subject) -> Iterator[Hit]:
    """Earlier rules take every call that an endpoint rule is for."""
    taken: dict[tuple[str, str], str] = {}
    for policy in subject.resources.policies:
        for index, rule in enumerate(_rules(policy)):
            region = rule.match.region.casefold()
            members = [
                name
                for name, one in subject.access.consumers_in[policy.metadata.name].items()
                if _may_be_from(one, region)
            ]
            earlier = [taken[name, region] for name in members if (name, region) in taken]
            if members and len(earlier) == len(members):
                message = f"{earlier[0]} takes every call from `{rule.match.region}` before this rule"
                yield Hit(policy, ("spec", "endpointRouting", "rules", index), message, "Remove one of the two.")
            for name in members:
                taken.setdefault((name, region), f"rule {index + 1} of the policy `{policy.metadata.name}`")


def route_without_target(subject: Subject) -> Iterator[Hit]:
    """An endpoint rule leads to a Provider at which no Model of the consumers in scope has a target."""
    for policy in subject.resources.policies:
        members = subject.access.consumers_in[policy.metadata.name].values()
        may = {name for one in members for name in subject.access.callable_by[one.metadata.name]}
        served = {target.provider for name in may for target in subject.models[name].spec.targets}
        for index, rule in enumerate(_rules(policy)):
            provider = rule.route_to if rule.route_to not in subject.models else None
            if provider in subject.providers and members and provider not in served:
                message = f"no Model that the consumers in scope may call has a target at the Provider `{provider}`"
                path = ("spec", "endpointRouting", "rules", index, "routeTo")
                yield Hit(policy, path, message, "Add a target there, or lead elsewhere.")
