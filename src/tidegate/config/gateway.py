"""`kind: Gateway`: the gateway's own settings. There is at most one."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tidegate.config.metadata import ApiVersion, Metadata
from tidegate.config.scalars import Duration, Size
from tidegate.core.snapshot import SecretRef

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1)]
SizeLimit = Annotated[Size, Meta(ge=1024)]


class GatewayLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    max_head_bytes: SizeLimit = 32_768
    """Size of a request's line and headers together; more is answered 431."""
    max_headers: Count = 100
    """Number of headers of a request; more is answered 431."""
    max_body_bytes: SizeLimit = 33_554_432
    """Size of a request's body; more is answered 413."""
    max_connections: Count = 10_000
    """Client connections open at once."""
    max_calls: Count = 4_096
    """Calls in flight at once; more are answered 503 with `retry-after`."""


class GatewayTimeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    head: Duration = 10.0
    """From a request's first byte to the end of its headers."""
    body: Duration = 60.0
    """From there to the end of its body."""
    idle: Duration = 75.0
    """A connection without a request is closed after this."""
    write_stall: Duration = 60.0
    """A client that takes none of its answer for this long is cut off."""
    drain: Duration = 30.0
    """At a stop: how long running calls may go on."""
    session: Duration = 3600.0
    """A session (realtime) is closed after this."""
    session_idle: Duration = 600.0
    """A session in which no message has passed for so long is closed."""


class Cors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    allow_origins: tuple[str, ...]
    """Origins of web pages that may call, such as `https://app.example.com`; `*` for any."""
    allow_headers: tuple[str, ...] = ()
    """Request headers that they may send; empty: those that the browser asks for."""
    expose_headers: tuple[str, ...] = ()
    """Answer headers that they may read."""
    max_age: Duration = 600.0
    """How long a browser may keep the answer to its preflight request."""


class Tls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    cert_file: str
    """PEM file with the certificate and its chain; read again when it changes."""
    key_file: str
    """PEM file with the key."""


class SpoolSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    fsync: Literal["none", "interval", "always"] = "interval"
    """When records reach the disk itself: left to the system, every 50 ms, or before each answer ends. A crash of
    the process alone loses nothing under any of them."""
    size: SizeLimit = 4_294_967_296
    """Disk space for records that wait for ingestion; when it is full, new calls are refused."""


class AwsAccess(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    secret: SecretRef
    """What the access keys are derived from: at least 32 random characters. A new one makes all of them anew."""


class RemoteMedia(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    enabled: bool = True
    """False: nothing is fetched, and such calls are refused."""
    max_bytes: SizeLimit = 10_485_760
    """Size of one file; those of one call may have four times as much together."""
    timeout: Duration = 10.0
    """For one file, with all that it redirects to."""
    ports: tuple[Port, ...] = (80, 443)
    """Ports that are fetched from."""
    allow_hosts: tuple[str, ...] = ()
    """The only hosts that are fetched from (`cdn.example.com`, or `*.example.com` for all below it); empty: any."""
    allow_networks: tuple[str, ...] = ()
    """Addresses or networks (`10.1.0.0/16`) that may be fetched from although they are not public."""


class GatewaySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    limits: GatewayLimits = GatewayLimits()
    """Sizes and counts beyond which requests are refused."""
    timeouts: GatewayTimeouts = GatewayTimeouts()
    """How long clients may take."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks (`10.0.0.0/8`) whose `X-Forwarded-For` is believed."""
    cors: Cors | None = None
    """For calls from web pages; absent: none."""
    tls: Tls | None = None
    """Absent: plain HTTP."""
    spool: SpoolSettings = SpoolSettings()
    """The file that every call is recorded in before its answer ends."""
    retry_share: Annotated[float, Meta(ge=0, le=1)] = 0.2
    """Retries may be at most this share of recent calls."""
    access_log: bool = True
    """One JSON line per call on standard output."""
    aws_access: AwsAccess | None = None
    """Takes requests at Bedrock's paths that are signed with an access key of `tidegate keys aws-access`; absent: none."""
    remote_media: RemoteMedia = RemoteMedia()
    """Pictures and documents that a call gives by URL, where its upstream takes bytes alone: they are fetched."""


class Gateway(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The gateway's own settings."""

    api_version: ApiVersion = "tidegate/v1"
    """The version of this format."""
    kind: Literal["Gateway"] = "Gateway"
    """Which resource this is."""
    metadata: Metadata = Metadata(name="gateway")
    """Its name and labels."""
    spec: GatewaySettings = GatewaySettings()
    """The settings."""
