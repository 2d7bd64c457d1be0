"""A configuration without a file: providers from the environment variables that their SDKs read."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tidegate.config.consumer import Consumer, ConsumerSettings, Key
from tidegate.config.document import MapNode
from tidegate.config.finding import ConfigErrors, Finding
from tidegate.config.metadata import Metadata, ModelMetadata
from tidegate.config.model import Model, ModelPrice, ModelSettings, Target, Task
from tidegate.config.provider import Credential, Provider, ProviderSettings
from tidegate.config.resources import Resources, Source
from tidegate.config.services import SERVICES, Service
from tidegate.config.team import Team
from tidegate.core.snapshot import SecretRef

PLACE: Final = "(environment)"
KEY_VARIABLE: Final = "TIDEGATE_API_KEY"

FREE: Final = ModelPrice(input_per_million=Decimal(0))
"""OpenAI does not charge for moderation; the price book does not list it."""


KEYED: Final = tuple(one for one in SERVICES.values() if one.key and (one.chat or one.embedding or one.moderation))
"""Services that can be offered by their key alone."""


def from_environment(env: Mapping[str, str], *, key: str | None = None) -> Resources:
    """Providers whose key variable is set, their well-known models, and one consumer `default` of the team `default`.

    That consumer's key is `key`, else the variable TIDEGATE_API_KEY. Where two providers offer a model of the same
    name, it gets a target at each, in the table's order. Raises ConfigErrors when nothing can be made of `env`.
    """
    known = [one for one in KEYED if env.get(one.key)]
    if not known:
        names = ", ".join(one.key for one in KEYED)
        raise _nothing("no provider's key is set", f"Name a configuration with -c, or set one of {names}.")
    if not (key or env.get(KEY_VARIABLE)):
        raise _nothing("clients have no key to present", f"Set {KEY_VARIABLE} to the key that they shall use.")
    resources = Resources()
    for one in known:
        _add(resources, _provider(one, env))
    for model in _models(known):
        _add(resources, model)
    _add(resources, Team(metadata=Metadata(name="default")))
    secret = SecretRef(value=key) if key else SecretRef(env=KEY_VARIABLE)
    settings = ConsumerSettings(team="default", keys=(Key(value=secret),))
    _add(resources, Consumer(metadata=Metadata(name="default"), spec=settings))
    return resources


def _nothing(message: str, hint: str) -> ConfigErrors:
    return ConfigErrors([Finding(file=PLACE, line=0, path="", message=message, hint=hint)])


def _provider(known: Service, env: Mapping[str, str]) -> Provider:
    base_url = env.get(known.base_url_variable or "", "")
    credential = Credential(api_key=SecretRef(env=known.key))
    settings = ProviderSettings(service=known.name, base_url=base_url.rstrip("/"), credentials=(credential,))
    return Provider(metadata=Metadata(name=known.name), spec=settings)


def _models(known: list[Service]) -> list[Model]:
    targets: dict[str, tuple[Task, list[Target]]] = {}
    for one in known:
        tasks: tuple[tuple[Task, tuple[str, ...]], ...] = (
            ("chat", one.chat),
            ("embedding", one.embedding),
            ("moderation", one.moderation),
        )
        for task, names in tasks:
            for name in names:
                at = targets.setdefault(name, (task, []))[1]
                at.append(Target(provider=one.name, model=name, priority=len(at)))
    return [
        Model(
            metadata=ModelMetadata(name=name),
            spec=ModelSettings(task=task, targets=tuple(at), price=FREE if task == "moderation" else None),
        )
        for name, (task, at) in targets.items()
    ]


def _add(resources: Resources, resource: Provider | Model | Team | Consumer) -> None:
    resources.add(resource, Source(PLACE, MapNode(0)))
