"""Teams, consumers, their keys and what they may call."""

from collections.abc import Iterator

from tidegate.compile.keys import key_digest
from tidegate.compile.names import selected
from tidegate.compile.rules.rule import Hit, Subject
from tidegate.config.finding import did_you_mean
from tidegate.config.secret import SecretMissing, read_secret

SHORTEST_KEY = 20
"""Characters; a key of random letters and digits this long cannot be guessed."""


def allow_list_matches_nothing(subject: Subject) -> Iterator[Hit]:
    """An entry of an allow-list means no Model, or none that the team may use."""
    everything = subject.access.models
    for team in subject.resources.teams:
        for index, pattern in enumerate(team.spec.models or ()):
            if not selected([pattern], everything):
                hint = did_you_mean(pattern, list(subject.models), "Models")
                yield Hit(team, ("spec", "models", index), f"`{pattern}` matches no Model", hint)
    for consumer in subject.resources.consumers:
        team = subject.access.teams.get(consumer.spec.team)
        of_team = everything if team is None else selected(team.spec.models, everything)
        for index, pattern in enumerate(consumer.spec.models or ()):
            path = ("spec", "models", index)
            if not selected([pattern], everything):
                hint = did_you_mean(pattern, list(subject.models), "Models")
                yield Hit(consumer, path, f"`{pattern}` matches no Model", hint)
            elif not selected([pattern], of_team):
                message = f"`{pattern}` matches no Model that the Team `{consumer.spec.team}` may use"
                yield Hit(consumer, path, message, "Add it to the Team's `models`, or remove it here.")


def passthrough_matches_nothing(subject: Subject) -> Iterator[Hit]:
    """An entry of `passthrough` means no Provider, or none that the team may pass through to."""
    everything = frozenset(subject.providers)
    for team in subject.resources.teams:
        for index, pattern in enumerate(team.spec.passthrough):
            if not selected([pattern], everything):
                hint = did_you_mean(pattern, list(subject.providers), "Providers")
                yield Hit(team, ("spec", "passthrough", index), f"`{pattern}` matches no Provider", hint)
    for consumer in subject.resources.consumers:
        team = subject.access.teams.get(consumer.spec.team)
        of_team = everything if team is None else selected(team.spec.passthrough, everything)
        for index, pattern in enumerate(consumer.spec.passthrough or ()):
            if not selected([pattern], of_team):
                message = f"`{pattern}` matches no Provider that the Team `{consumer.spec.team}` may pass through to"
                hint = "Add it to the Team's `passthrough`, or remove it here."
                yield Hit(consumer, ("spec", "passthrough", index), message, hint)


def consumer_may_call_nothing(subject: Subject) -> Iterator[Hit]:
    """A Consumer's list is empty, so no Model is left to it. (A list that matches nothing is another rule's.)"""
    for consumer in subject.resources.consumers:
        if consumer.spec.models == ():
            hint = "Name Models; without `models` it may call all that its team may use."
            yield Hit(consumer, ("spec", "models"), "an empty list lets the consumer call nothing", hint)
    for team in subject.resources.teams:
        if team.spec.models == ():
            hint = "Name Models; without `models` its consumers may use all."
            yield Hit(team, ("spec", "models"), "an empty list lets the team's consumers call nothing", hint)


def model_nobody_may_call(subject: Subject) -> Iterator[Hit]:
    """No consumer may call a Model, and nothing leads to it."""
    reached = {name for models in subject.access.callable_by.values() for name in models}
    reached |= {name for model in subject.resources.models for name in model.spec.routing.fallbacks}
    for policy in subject.resources.policies:
        if policy.spec.endpoint_routing is not None:
            reached |= {rule.route_to for rule in policy.spec.endpoint_routing.rules}
    for model in subject.resources.models:
        if model.metadata.name not in reached:
            message = f"no Consumer may call the Model `{model.metadata.name}`"
            yield Hit(model, ("metadata", "name"), message, "Add it to a Consumer's `models`, or remove it.")


def unset_key(subject: Subject) -> Iterator[Hit]:
    """A consumer's key is in a variable or file that is not there, so its digest cannot be made."""
    for consumer in subject.resources.consumers:
        for index, key in enumerate(consumer.spec.keys):
            try:
                key_digest(key, subject.env)
            except SecretMissing as error:
                hint = f"{error.hint} Or write the key's digest as `sha256`."
                yield Hit(consumer, ("spec", "keys", index, "value"), str(error), hint)


def same_key_twice(subject: Subject) -> Iterator[Hit]:
    """One key is given twice: whose call it is could not be told."""
    owners: dict[bytes, str] = {}
    for consumer in subject.resources.consumers:
        for index, key in enumerate(consumer.spec.keys):
            try:
                digest = key_digest(key, subject.env)
            except SecretMissing:
                continue
            name = consumer.metadata.name
            owner = owners.setdefault(digest, f"{name} {index}")
            if owner != f"{name} {index}":
                message = f"this key is also one of the Consumer `{owner.split()[0]}`"
                yield Hit(consumer, ("spec", "keys", index), message, "Give each consumer keys of its own.")


def short_key(subject: Subject) -> Iterator[Hit]:
    """A key is short enough to be guessed."""
    for consumer in subject.resources.consumers:
        for index, key in enumerate(consumer.spec.keys):
            try:
                value = read_secret(key.value, subject.env) if key.value is not None else None
            except SecretMissing:
                continue
            if value is not None and len(value) < SHORTEST_KEY:
                message = f"a key of {len(value)} characters can be guessed"
                hint = f"Use at least {SHORTEST_KEY} random ones, such as from `openssl rand -hex 32`."
                yield Hit(consumer, ("spec", "keys", index, "value"), message, hint)


def consumer_without_keys(subject: Subject) -> Iterator[Hit]:
    """A Consumer has no key, so it can never call."""
    for consumer in subject.resources.consumers:
        if not consumer.spec.keys:
            message = f"the Consumer `{consumer.metadata.name}` has no key to present"
            yield Hit(consumer, ("spec", "keys"), message, "Add `keys: [{value: {env: NAME}}]`.")
