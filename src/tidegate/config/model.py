"""`kind: Model`: a public model name, the targets that serve it, and how to choose among them."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tidegate.config.metadata import ApiVersion, ModelMetadata
from tidegate.config.scalars import Duration, Usd
from tidegate.core.snapshot import RetryOn, Strategy

Task = Literal["chat", "embedding", "moderation", "inference", "rerank", "image", "speech", "transcription", "realtime"]
Weight = Annotated[int, Meta(ge=0)]
Tokens = Annotated[int, Meta(ge=1)]


class TokenPrices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """US dollars per million tokens. An absent price of cached, written, audio, image or reasoning tokens is that of
    the plain ones on the same side."""

    input_per_million: Usd | None = None
    """Input tokens. Required, except for models that are priced by something else than tokens."""
    cached_input_per_million: Usd | None = None
    """Input tokens read from the upstream's cache."""
    output_per_million: Usd | None = None
    """Output tokens. Required for chat, where input tokens have a price."""
    cache_write_per_million: Usd | None = None
    """Input tokens written to the upstream's cache for minutes."""
    cache_write_long_per_million: Usd | None = None
    """Input tokens written to the upstream's cache for an hour; absent: as `cacheWritePerMillion`."""
    audio_input_per_million: Usd | None = None
    """Input tokens that are audio."""
    image_input_per_million: Usd | None = None
    """Input tokens that are images."""
    cached_audio_input_per_million: Usd | None = None
    """Input tokens that are audio, read from the upstream's cache; absent: as `cachedInputPerMillion`."""
    cached_image_input_per_million: Usd | None = None
    """Input tokens that are images, read from the upstream's cache; absent: as `cachedInputPerMillion`."""
    audio_output_per_million: Usd | None = None
    """Output tokens that are audio."""
    image_output_per_million: Usd | None = None
    """Output tokens that are images."""
    reasoning_per_million: Usd | None = None
    """Output tokens spent on reasoning."""


class TierPrice(TokenPrices, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """US dollars per million tokens of calls that a service tier has served. An absent price is as in the standard one:
    that of the plain tokens on the same side."""

    def __post_init__(self) -> None:
        if self.input_per_million is None:
            raise ValueError("the price of a tier needs `inputPerMillion`")


class ModelPrice(TokenPrices, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """US dollars: per million tokens, and by whatever else the upstream charges. An absent price of cached, written,
    audio, image or reasoning tokens is that of the plain ones on the same side. What a call used that has no price here is
    an unknown cost, never nothing."""

    per_request: Usd | None = None
    """US dollars per call, on top of all else. A call for several images counts as several."""
    per_image: Usd | None = None
    """US dollars per image that was made."""
    per_audio_hour: Usd | None = None
    """US dollars per hour of sound heard or spoken, by the millisecond: 0.36 is 0.006 per minute."""
    per_million_characters: Usd | None = None
    """US dollars per million characters of text that was spoken."""
    per_search: Usd | None = None
    """US dollars per search unit of a reranker."""
    per_web_search: Usd | None = None
    """US dollars per search in the web by a tool of the upstream's, on top of the tokens: 0.01 is 10 per thousand."""
    per_file_search: Usd | None = None
    """US dollars per search in files by a tool of the upstream's, on top of the tokens."""
    tiers: dict[str, TierPrice] = {}
    """Service tier as the answers name it (`priority`, `flex`, `fast`, `batch`) → the price of its tokens. Absent: half for
    `batch` (openai, azure-openai, anthropic, gemini, mistral) and `flex` (openai), unknown for all others."""

    def __post_init__(self) -> None:
        ways = (self.input_per_million, self.per_request, self.per_image, self.per_audio_hour)
        if all(way is None for way in (*ways, self.per_million_characters, self.per_search)):
            raise ValueError(
                "a price needs one of `inputPerMillion`, `perRequest`, `perImage`, `perAudioHour`, "
                "`perMillionCharacters`, `perSearch`"
            )


class Target(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One upstream model that can serve this Model."""

    name: str | None = None
    """Unique within the Model; by default `provider/model`."""
    provider: str
    """The Provider's name."""
    model: str
    """What that provider calls the model (for Azure: the deployment)."""
    priority: Annotated[int, Meta(ge=0)] = 0
    """Targets of the lowest number are tried first; the next group when none of them can serve."""
    weight: Weight = 1
    """Share within its priority group; 0 takes no calls."""
    capacity: Literal["on-demand", "provisioned"] = "on-demand"
    """`provisioned` capacity is paid for already: used first, until it reports being full."""
    context_window: Tokens | None = None
    """Tokens that fit in one call; by default what the price book knows."""
    price: ModelPrice | None = None
    """Overrides the Model's price and the price book."""


class Breaker(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Takes a failing target out of service for a while."""

    error_rate: float = 0.5
    """Share of calls with faults (0 to 1) that opens it."""
    min_requests: int = 20
    """Fewer calls than this within the window open nothing."""
    window: Duration = 30.0
    """Over what the share is taken."""
    open_for: Duration = 15.0
    """How long it stays open before one live call tries the target again."""


class HashOn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What keeps calls together under `strategy: hash`."""

    by: Literal["consumer", "prompt", "header"] = "prompt"
    """The consumer, the beginning of the prompt (which fills upstream caches), or a request header."""
    header: str | None = None
    """The header's name, with `by: header`."""
    load_factor: Annotated[float, Meta(ge=1)] = 1.25
    """No target gets more than this times the mean load."""


class Routing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    strategy: Strategy = "weighted"
    """How a target is chosen within a priority group."""
    attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    """Calls of upstreams at most, over all targets, the first included."""
    retry_on: tuple[RetryOn, ...] = ("connect", "timeout", "429", "5xx")
    """Faults after which another attempt is made."""
    fallbacks: tuple[str, ...] = ()
    """Other Models, tried in this order when every target of this one fails."""
    breaker: Breaker = Breaker()
    """When a failing target is taken out of service."""
    hash_on: HashOn = HashOn()
    """What keeps calls together under `strategy: hash`."""
    spill_at: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """Provisioned targets are passed over while their reported utilisation is at least this (0 to 1)."""
    deadline: Duration | None = None
    """For the whole call with all its attempts; absent: the provider's total timeout alone."""


class ModelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    task: Task = "chat"
    """What it does. `/v1/completions` is asked of chat models."""
    targets: tuple[Target, ...]
    """The upstream models that can serve it."""
    routing: Routing = Routing()
    """How to choose among them, and what to do when one fails."""
    price: ModelPrice | None = None
    """Overrides the price book for every target."""
    max_output_tokens: Tokens | None = None
    """What is reserved for the answer of a call that sets no bound of its own; enforced upstream when a hard budget is
    in scope. Where it is not set and output costs something, both are 4096."""
    max_searches: Annotated[int, Meta(ge=1)] | None = None
    """How many searches by tools of the upstream's are reserved for a call that sets no bound of its own (`max_tool_calls`,
    `max_uses`); enforced upstream when a hard budget is in scope. Where it is not set, both are 5. Gemini's requests have
    no such bound: without this, models that bill each search are not searched with under a hard budget."""
    strict: bool = False
    """Refuse hints that an upstream of another dialect does not have, with 400, where they would else be dropped and named
    in `x-tidegate-dropped`."""


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A public model name that clients ask for."""

    api_version: ApiVersion = "tidegate/v1"
    """The version of this format."""
    kind: Literal["Model"] = "Model"
    """Which resource this is."""
    metadata: ModelMetadata
    """The public name, and labels."""
    spec: ModelSettings
    """What it is."""
