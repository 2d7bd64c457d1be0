"""Names that lead nowhere, in circles, or from nowhere."""

from collections.abc import Iterator

from tidegate.compile.rules.rule import Hit, Subject
from tidegate.config.finding import did_you_mean
from tidegate.config.model import Target


def unknown_provider(subject: Subject) -> Iterator[Hit]:
    """A target names a Provider that does not exist."""
    for model in subject.resources.models:
        for index, target in enumerate(model.spec.targets):
            if target.provider not in subject.providers:
                hint = did_you_mean(target.provider, list(subject.providers), "Providers")
                path = ("spec", "targets", index, "provider")
                yield Hit(model, path, f"there is no Provider `{target.provider}`", hint)


def unknown_team(subject: Subject) -> Iterator[Hit]:
    """A Consumer names a Team that does not exist."""
    for consumer in subject.resources.consumers:
        team = consumer.spec.team
        if team not in subject.access.teams:
            hint = did_you_mean(team, list(subject.access.teams), "Teams") or "Add a `kind: Team` of that name."
            yield Hit(consumer, ("spec", "team"), f"there is no Team `{team}`", hint)


def unknown_fallback(subject: Subject) -> Iterator[Hit]:
    """A fallback names no Model, or its own."""
    for model in subject.resources.models:
        for index, name in enumerate(model.spec.routing.fallbacks):
            path = ("spec", "routing", "fallbacks", index)
            if name == model.metadata.name:
                yield Hit(model, path, "a Model cannot be its own fallback", "Remove it.")
            elif name not in subject.models:
                hint = did_you_mean(name, list(subject.models), "Models")
                yield Hit(model, path, f"there is no Model `{name}`", hint)


def unknown_route(subject: Subject) -> Iterator[Hit]:
    """`routeTo` names neither a Model nor a Provider."""
    known = [*subject.models, *subject.providers]
    for policy in subject.resources.policies:
        for index, rule in enumerate(policy.spec.endpoint_routing.rules if policy.spec.endpoint_routing else ()):
            if rule.route_to not in known:
                path = ("spec", "endpointRouting", "rules", index, "routeTo")
                hint = did_you_mean(rule.route_to, known, "Models and Providers")
                yield Hit(policy, path, f"there is no Model or Provider `{rule.route_to}`", hint)


def fallback_loop(subject: Subject) -> Iterator[Hit]:
    """Following fallbacks leads back to the Model where they began."""
    reported: set[frozenset[str]] = set()
    for model in subject.resources.models:
        loop = _loop_from(subject, model.metadata.name)
        if loop and frozenset(loop) not in reported:
            reported.add(frozenset(loop))
            way = " → ".join([*loop, loop[0]])
            hint = "Take the last step out: a call never comes back to a Model that has failed it."
            yield Hit(model, ("spec", "routing", "fallbacks"), f"the fallbacks go in a circle: {way}", hint)


def _loop_from(subject: Subject, start: str) -> list[str]:
    """The Models on a shortest way from `start` back to it, or none. A Model's fallback to itself is another rule's."""
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop(0)
        model = subject.models.get(way[-1])
        for name in model.spec.routing.fallbacks if model is not None else ():
            if name == start and len(way) > 1:
                return way
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []


def fallback_of_another_task(subject: Subject) -> Iterator[Hit]:
    """A fallback does another task, so it cannot answer the call."""
    for model in subject.resources.models:
        for index, name in enumerate(model.spec.routing.fallbacks):
            other = subject.models.get(name)
            if other is not None and other.spec.task != model.spec.task:
                message = f"`{name}` is for {other.spec.task}, this Model is for {model.spec.task}"
                yield Hit(model, ("spec", "routing", "fallbacks", index), message, "Name a Model of the same task.")


def duplicate_target(subject: Subject) -> Iterator[Hit]:
    """Two targets of one Model have the same name."""
    for model in subject.resources.models:
        seen: set[str] = set()
        for index, target in enumerate(model.spec.targets):
            name = target_name(target)
            if name in seen:
                hint = "Remove one (its weight can grow instead), or give them different names."
                yield Hit(model, ("spec", "targets", index), f"a second target called `{name}`", hint)
            seen.add(name)


def unused_provider(subject: Subject) -> Iterator[Hit]:
    """No target uses a Provider, and nobody may pass through to it."""
    used = {target.provider for model in subject.resources.models for target in model.spec.targets}
    used |= {name for names in subject.access.passthrough_of.values() for name in names}
    for provider in subject.resources.providers:
        if provider.metadata.name not in used:
            message = f"no Model has a target at the Provider `{provider.metadata.name}`"
            yield Hit(
                provider,
                ("metadata", "name"),
                message,
                "Add a target, or remove the Provider.",
            )


def unused_team(subject: Subject) -> Iterator[Hit]:
    """A Team has no consumers."""
    used = {consumer.spec.team for consumer in subject.resources.consumers}
    for team in subject.resources.teams:
        if team.metadata.name not in used:
            message = f"no Consumer belongs to the Team `{team.metadata.name}`"
            yield Hit(team, ("metadata", "name"), message, "Add one, or remove the Team.")


def target_name(target: Target) -> str:
    """The given name, else `provider/model`."""
    return target.name or f"{target.provider}/{target.model}"
