"""A configuration without a file: providers from the environment variables that their SDKs read."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from tidegate.config.consumer import Consumer, ConsumerSettings, Key
from tidegate.config.document import MapNode
from tidegate.config.finding import ConfigErrors, Finding
from tidegate.config.metadata import Metadata, ModelMetadata
from tidegate.config.model import Model, ModelPrice, ModelSettings, Target, Task
from tidegate.config.provider import Credential, Provider, ProviderSettings
from tidegate.config.resources import Resources, Source
from tidegate.config.team import Team
from tidegate.core.snapshot import SecretRef

PLACE: Final = "(environment)"
KEY_VARIABLE: Final = "TIDEGATE_API_KEY"

FREE: Final = ModelPrice(input_per_million=Decimal(0))
"""OpenAI does not charge for moderation; the price book does not list it."""


class KnownProvider(Struct, frozen=True, kw_only=True):
    """An OpenAI-compatible provider, and the models offered of it when there is no configuration to name others."""

    name: str
    key: str
    """The environment variable that holds its key."""
    base_url: str
    base_url_variable: str | None = None
    chat: tuple[str, ...] = ()
    embedding: tuple[str, ...] = ()
    moderation: tuple[str, ...] = ()


KNOWN_PROVIDERS: Final = (
    KnownProvider(
        name="openai",
        key="OPENAI_API_KEY",
        base_url="https://api.openai.com/v1",
        base_url_variable="OPENAI_BASE_URL",
        chat=("gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini", "gpt-5.4",
              "gpt-5.4-mini", "gpt-5.5", "o3", "o4-mini"),
        embedding=("text-embedding-3-small", "text-embedding-3-large"),
        moderation=("omni-moderation-latest",),
    ),
    KnownProvider(
        name="groq",
        key="GROQ_API_KEY",
        base_url="https://api.groq.com/openai/v1",
        chat=("llama-3.1-8b-instant", "llama-3.3-70b-versatile", "openai/gpt-oss-20b", "openai/gpt-oss-120b"),
    ),
    KnownProvider(
        name="mistral",
        key="MISTRAL_API_KEY",
        base_url="https://api.mistral.ai/v1",
        chat=("mistral-small-latest", "mistral-medium-latest", "mistral-large-latest", "ministral-8b-latest"),
        embedding=("mistral-embed",),
    ),
    KnownProvider(
        name="deepseek",
        key="DEEPSEEK_API_KEY",
        base_url="https://api.deepseek.com/v1",
        chat=("deepseek-chat", "deepseek-reasoner"),
    ),
    KnownProvider(
        name="x-ai",
        key="XAI_API_KEY",
        base_url="https://api.x.ai/v1",
        chat=("grok-4.3", "grok-4.5", "grok-code-fast-1"),
    ),
    KnownProvider(
        name="together",
        key="TOGETHER_API_KEY",
        base_url="https://api.together.xyz/v1",
        chat=("meta-llama/Llama-3.3-70B-Instruct-Turbo",),
    ),
    KnownProvider(
        name="openrouter",
        key="OPENROUTER_API_KEY",
        base_url="https://openrouter.ai/api/v1",
        chat=("openrouter/auto",),
    ),
    KnownProvider(
        name="cerebras",
        key="CEREBRAS_API_KEY",
        base_url="https://api.cerebras.ai/v1",
        chat=("gpt-oss-120b",),
    ),
)  # fmt: skip


def from_environment(env: Mapping[str, str], *, key: str | None = None) -> Resources:
    """Providers whose key variable is set, their well-known models, and one consumer `default` of the team `default`.

    That consumer's key is `key`, else the variable TIDEGATE_API_KEY. Where two providers offer a model of the same
    name, it gets a target at each, in the table's order. Raises ConfigErrors when nothing can be made of `env`.
    """
    known = [one for one in KNOWN_PROVIDERS if env.get(one.key)]
    if not known:
        names = ", ".join(one.key for one in KNOWN_PROVIDERS)
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


def _provider(known: KnownProvider, env: Mapping[str, str]) -> Provider:
    base_url = env.get(known.base_url_variable or "") or known.base_url
    credential = Credential(api_key=SecretRef(env=known.key))
    settings = ProviderSettings(dialect="openai", base_url=base_url.rstrip("/"), credentials=(credential,))
    return Provider(metadata=Metadata(name=known.name), spec=settings)


def _models(known: list[KnownProvider]) -> list[Model]:
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
