"""What a call consumed, in disjoint buckets, and what it cost."""

from typing import Final, Literal

from msgspec import Struct

Source = Literal["reported", "estimated", "unknown"]

MOST_TOKENS: Final = 1 << 40
"""Of one kind in one call: what is above it is an upstream's nonsense."""


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Token buckets never overlap: their sum is the call's total.

    `input` excludes cached, written, audio and image tokens; `output` excludes reasoning, audio and image tokens.
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

    @property
    def input_total(self) -> int:
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.input_audio
            + self.input_image
        )

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
        )
        return 0 <= every < MOST_TOKENS


UNKNOWN_USAGE = Usage()


class Rates(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Prices in nano-USD per million tokens (2.00 USD per million = 2_000_000_000).

    None means: no price of its own, the bucket is charged as its parent (`cache_*`, `input_*` as input; `reasoning`,
    `output_*` as output).
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


class Price(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The price of a Target, resolved once at compile time."""

    rates: Rates
    version: str
    """Where it is from: `config` or `genai-prices/<version>/<provider>/<model>`."""
    per_request_nano: int = 0
    tiers: tuple[tuple[int, Rates], ...] = ()
    """(input tokens above which these rates hold for the whole call, rates), ascending."""


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
