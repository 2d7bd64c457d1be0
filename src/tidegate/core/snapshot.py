"""The whole compiled configuration: immutable, versioned by its content hash, msgpack on disk.

Made by `compile`, read by `decide` and `gateway`. References between parts are by name; secrets are references too
(`SecretRef`), resolved by the process that uses them, so that a snapshot on disk holds no secret that the configuration
did not spell out.
"""

from typing import Literal

from msgspec import Struct

from tidegate.core.claims import Bucket
from tidegate.core.usage import Price

Strategy = Literal["weighted", "round-robin", "least-busy", "lowest-latency", "lowest-cost", "hash"]


class SecretRef(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Exactly one of the three is set."""

    value: str | None = None
    env: str | None = None
    file: str | None = None


class Timeouts(Struct, frozen=True, kw_only=True):
    """Seconds."""

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 60.0
    total: float = 600.0


class CredentialSpec(Struct, frozen=True, kw_only=True):
    id: str
    """Stable within the provider: its `name`, or its position (`0`, `1`, …)."""
    api_key: SecretRef | None
    """None: the upstream wants no key, or one that signs."""
    weight: int = 1
    access_key_id: SecretRef | None = None
    secret_access_key: SecretRef | None = None
    session_token: SecretRef | None = None
    access_token: SecretRef | None = None
    service_account: SecretRef | None = None
    metadata_server: bool = False
    aws_chain: bool = False


class ProviderSpec(Struct, frozen=True, kw_only=True):
    name: str
    dialect: str
    base_url: str
    credentials: tuple[CredentialSpec, ...]
    region: str | None
    timeouts: Timeouts
    api_version: str | None = None
    """azure-openai: the `api-version` query; None for its `/openai/v1` surface."""
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    verify_tls: bool = True
    max_connections: int = 1000
    headers: tuple[tuple[str, SecretRef], ...] = ()
    quirks: frozenset[str] = frozenset()
    """Named deviations, e.g. `no-stream-usage`: the upstream rejects `stream_options`."""


class TargetSpec(Struct, frozen=True, kw_only=True):
    name: str
    """Unique in its model: the given name, else `provider/model`."""
    provider: str
    model: str
    priority: int = 0
    weight: int = 1
    provisioned: bool = False
    context_window: int | None = None
    price: Price | None = None
    """None: unknown."""


class BreakerSpec(Struct, frozen=True, kw_only=True):
    """Opens when, over `window` seconds with at least `min_requests`, the share of faults reaches `error_rate`."""

    error_rate: float = 0.5
    min_requests: int = 20
    window: float = 30.0
    open_for: float = 15.0


RetryOn = Literal["connect", "timeout", "429", "5xx"]


class HashOn(Struct, frozen=True, kw_only=True):
    """What the hash strategy hashes: `consumer`, `prompt`, or `header` with its lower-case name."""

    by: Literal["consumer", "prompt", "header"] = "prompt"
    header: str = ""
    load_factor: float = 1.25
    """No target gets more than this times the mean load (consistent hashing with bounded loads)."""


class RoutingSpec(Struct, frozen=True, kw_only=True):
    strategy: Strategy = "weighted"
    attempts: int = 3
    retry_on: frozenset[str] = frozenset({"connect", "timeout", "429", "5xx"})
    fallbacks: tuple[str, ...] = ()
    breaker: BreakerSpec = BreakerSpec()
    hash_on: HashOn = HashOn()
    spill_at: float = 1.0
    """Provisioned targets are passed over while their reported utilisation is at least this (0 to 1)."""
    deadline: float | None = None
    """Seconds for the whole call, all attempts; None: the provider's total timeout alone."""


class ModelSpec(Struct, frozen=True, kw_only=True):
    name: str
    task: str
    targets: tuple[TargetSpec, ...]
    routing: RoutingSpec
    max_output_tokens: int | None = None
    """Enforced upstream when a client sets no bound and a hard budget is in scope; else only assumed when reserving."""
    max_searches: int | None = None
    """What is reserved for hosted searches of a call that sets no bound, enforced upstream like `max_output_tokens`."""
    strict: bool = False
    """Hints that an upstream of another dialect does not have are refused, not dropped."""
    created: int = 0
    labels: tuple[tuple[str, str], ...] = ()


class EndpointRule(Struct, frozen=True, kw_only=True):
    """Calls whose region is `region` go to the Model or to the Provider's targets `route_to`."""

    region: str
    model: str | None = None
    provider: str | None = None
    policy: str = ""


class ConsumerSpec(Struct, frozen=True, kw_only=True):
    """One application, everything that concerns it folded in: its own, its team's and every policy in scope."""

    name: str
    team: str
    models: frozenset[str]
    """Public model names it may call: globs are resolved at compile time."""
    passthrough: frozenset[str] = frozenset()
    """Providers of which it may call any path."""
    shared_objects: frozenset[str] = frozenset()
    """Ids of what providers keep that its calls may name, though it has not made it."""
    buckets: tuple[Bucket, ...]
    """Every limit and budget that any call of it claims from, in a fixed order."""
    model_buckets: tuple[tuple[str, tuple[Bucket, ...]], ...] = ()
    """Further buckets for calls of one model (policies scoped to models)."""
    region: str | None = None
    endpoint_rules: tuple[EndpointRule, ...] = ()
    log: bool = True
    tags: tuple[tuple[str, str], ...] = ()


class CorsSpec(Struct, frozen=True, kw_only=True):
    allow_origins: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: int = 600


class RemoteMediaSpec(Struct, frozen=True, kw_only=True):
    """Files that calls give by URL. Sizes in bytes, times in seconds."""

    enabled: bool = True
    max_bytes: int = 10_485_760
    timeout: float = 10.0
    ports: tuple[int, ...] = (80, 443)
    allow_hosts: tuple[str, ...] = ()
    allow_networks: tuple[str, ...] = ()


class ServerSpec(Struct, frozen=True, kw_only=True):
    """The gateway's own settings (`kind: Gateway`). Sizes in bytes, times in seconds."""

    max_head_bytes: int = 32_768
    max_headers: int = 100
    max_body_bytes: int = 33_554_432
    head_timeout: float = 10.0
    body_timeout: float = 60.0
    idle_timeout: float = 75.0
    write_stall_timeout: float = 60.0
    drain_timeout: float = 30.0
    session_timeout: float = 3600.0
    session_idle_timeout: float = 600.0
    max_connections: int = 10_000
    max_calls: int = 4_096
    """Calls in flight at once; more are answered 503 with `retry-after` at once."""
    trusted_proxies: tuple[str, ...] = ()
    cors: CorsSpec | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    fsync: Literal["none", "interval", "always"] = "interval"
    spool_bytes: int = 4_294_967_296
    retry_share: float = 0.2
    """Retries may be at most this share of recent calls."""
    access_log: bool = True
    aws_access: SecretRef | None = None
    """What consumers' AWS access keys are derived from; None: requests signed with one are refused."""
    remote_media: RemoteMediaSpec = RemoteMediaSpec()


class Snapshot(Struct, frozen=True, kw_only=True):
    version: str
    providers: tuple[ProviderSpec, ...]
    models: tuple[ModelSpec, ...]
    consumers: tuple[ConsumerSpec, ...]
    keys: tuple[tuple[bytes, int], ...]
    """(SHA-256 digest of a key, index into `consumers`)."""
    server: ServerSpec
    retention_days: int | None = None
