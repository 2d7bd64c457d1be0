"""What a call consumed, in disjoint buckets, and what it cost."""

from typing import Final, Literal

from msgspec import Struct

Source = Literal["reported", "estimated", "unknown"]

MOST_TOKENS: Final = 1 << 40
"""Of one kind in one call: what is above it is an upstream's nonsense."""


class Units(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a call consumed that is not told in tokens.

    Images, sound, characters and searches are the work itself, which an upstream may tell in tokens as well: who sets a
    price chooses by which of them it is charged. Searches by hosted tools come on top of the tokens.
    """

    images: int = 0
    """Pictures that were made."""
    audio_ms: int = 0
    """Milliseconds of sound that were heard or spoken."""
    characters: int = 0
    """Of text that was spoken."""
    searches: int = 0
    """A reranker's search units: a query with up to a hundred documents, as Cohere counts."""
    web_searches: int = 0
    """By a hosted tool."""
    file_searches: int = 0
    """By a hosted tool."""

    @property
    def work(self) -> int:
        """Not 0 if any of the work is told in units."""
        return self.images | self.audio_ms | self.characters | self.searches

    @property
    def plausible(self) -> bool:
        return 0 <= self.work | self.web_searches | self.file_searches < MOST_TOKENS


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Token buckets never overlap: their sum is the call's total.

    `input` excludes cached, written, audio and image tokens, `cache_read` those of audio and images; `output` excludes
    reasoning, audio and image tokens.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    input_image: int = 0
    output: int = 0
    reasoning: int = 0
    output_audio: int = 0
    output_image: int = 0
    source: Source = "unknown"
    raw: bytes = b"null"
    """The upstream's own usage object, byte for byte. Not a `Raw`: msgpack would splice that as it stands."""
    cache_read_audio: int = 0
    cache_read_image: int = 0
    units: Units | None = None
    """None: all that is known is in the tokens."""
    tier: str = ""
    """The service tier that served the call, as the answer says; "": the standard one. `batch` for calls of a batch."""

    @property
    def input_total(self) -> int:
        fresh = self.input + self.cache_write_5m + self.cache_write_1h + self.input_audio + self.input_image
        return fresh + self.cache_read + self.cache_read_audio + self.cache_read_image

    @property
    def cached(self) -> int:
        """Input tokens that came from the upstream's cache, of all kinds."""
        return self.cache_read + self.cache_read_audio + self.cache_read_image

    @property
    def output_total(self) -> int:
        return self.output + self.reasoning + self.output_audio + self.output_image

    @property
    def total(self) -> int:
        return self.input_total + self.output_total

    @property
    def plausible(self) -> bool:
        """No bucket is below nothing or above what a call can have. Once a call: all at once, by their bits."""
        every = (
            self.input
            | self.cache_read
            | self.cache_write_5m
            | self.cache_write_1h
            | self.input_audio
            | self.input_image
            | self.output
            | self.reasoning
            | self.output_audio
            | self.output_image
            | self.cache_read_audio
            | self.cache_read_image
        )
        return 0 <= every < MOST_TOKENS and (self.units is None or self.units.plausible)


UNKNOWN_USAGE = Usage()


class Rates(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Prices in nano-USD per million tokens (2.00 USD per million = 2_000_000_000).

    None means: no price of its own, the bucket is charged as its parent (`cache_read_*` as cache_read; `cache_*`,
    `input_*` as input; `reasoning`, `output_*` as output).
    """

    input: int
    output: int
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    input_audio: int | None = None
    input_image: int | None = None
    reasoning: int | None = None
    output_audio: int | None = None
    output_image: int | None = None
    cache_read_audio: int | None = None
    cache_read_image: int | None = None


class UnitRates(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Prices of Units in nano-USD. None: the unit has none."""

    image: int | None = None
    audio_hour: int | None = None
    """Of an hour of sound: prices by the second, minute and hour are whole numbers of it."""
    characters: int | None = None
    """Of a million."""
    search: int | None = None
    web_search: int | None = None
    file_search: int | None = None


class Tariff(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rates by the length of the input."""

    rates: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    """(input tokens above which these rates hold for the whole call, rates), ascending."""


class Price(Tariff, frozen=True, kw_only=True, omit_defaults=True):
    """The price of a Target, resolved once at compile time. Its own rates are those of the standard service tier."""

    version: str
    """Where it is from: `config` or `genai-prices/<version>/<provider>/<model>`."""
    per_request_nano: int = 0
    units: UnitRates | None = None
    """None: nothing but tokens and requests has a price."""
    service: dict[str, Tariff] = {}
    """Service tier → what its tokens cost. What a tier costs that is not here is unknown, unless tokens are free."""


Outcome = Literal["ok", "refused", "failed", "cancelled", "cut"]
"""ok: answered whole. refused: by us, before any upstream. failed: no answer. cancelled: the client left.
cut: the answer began and then broke."""


class UsageEvent(Struct, frozen=True, array_like=True):
    """The immutable record of one call. Fields are only ever appended: the spool holds them by position.

    Made by position on the hot path: keywords cost four times as much.
    """

    id: str
    """The call's id; also the Decision's. Unique key of the ledger."""
    time_ns: int
    """When the call arrived, wall time."""
    team: str
    consumer: str
    key: str
    """First 12 hex digits of the key's SHA-256; never the key."""
    model: str
    """The public model asked for."""
    provider: str
    upstream_model: str
    operation: str
    dialect: str
    status: int
    outcome: Outcome
    code: str
    """The Problem's code, or "" when there is none."""
    stream: bool
    attempts: int
    usage: Usage
    cost_nano: int | None
    """None: unknown."""
    charged_nano: int
    """What was settled against budgets: the cost, or the reservation where the cost is unknown."""
    price_version: str
    first_byte_ms: int | None
    total_ms: int
    snapshot: str
    tags: dict[str, str] = {}
