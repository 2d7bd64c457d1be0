"""`kind: Provider`: an account at an upstream."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tidegate.config.metadata import ApiVersion, Metadata
from tidegate.config.scalars import Duration, NotYet
from tidegate.core.snapshot import SecretRef

Dialect = Annotated[
    Literal["openai", "azure-openai", "mistral", "anthropic", "gemini"],
    NotYet(
        (
            "vertex", "bedrock", "cohere", "ollama", "oip", "tfserving", "torchserve",
        )
    ),
]  # fmt: skip


class Credential(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One key of the account."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = None
    """How metrics and decisions call it; by default its position, from `0`."""
    api_key: SecretRef | None = None
    """The key: `{env: NAME}`, `{file: PATH}` or the text itself. Absent: the upstream wants none."""
    weight: Annotated[int, Meta(ge=0)] = 1
    """Share of the calls, relative to the other credentials; 0 takes none."""


class ProviderTimeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    connect: Duration = 5.0
    """Until the connection stands, TLS included."""
    first_byte: Duration = 60.0
    """From the request's last byte to the answer's first."""
    idle: Duration = 60.0
    """Between two pieces of an answer."""
    total: Duration = 600.0
    """The whole call."""


class ProviderSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    dialect: Dialect
    """The wire format that the upstream speaks. Servers that follow OpenAI's API (vLLM, Groq, Mistral, …): `openai`."""
    base_url: Annotated[str, Meta(pattern=r"^https?://[^/?#\s@]+(/[^?#\s]*)?$")]
    """Where the API begins, such as `https://api.openai.com/v1`."""
    credentials: tuple[Credential, ...] = ()
    """A pool of keys. Absent: one credential without a key."""
    region: str | None = None
    """Where the upstream computes, as you name regions."""
    timeouts: ProviderTimeouts = ProviderTimeouts()
    """How long each phase of a call may take."""
    api_version: str | None = None
    """`azure-openai` only: the `api-version` of the deployments' URLs. Absent: Azure's `/openai/v1` surface."""
    ca_file: str | None = None
    """A PEM file with the authorities to trust instead of the system's."""
    client_cert_file: str | None = None
    """A PEM file with the certificate that the upstream wants from its clients."""
    client_key_file: str | None = None
    """The PEM file with that certificate's key."""
    verify_tls: bool = True
    """`false` accepts any certificate: for tests only."""
    max_connections: Annotated[int, Meta(ge=1)] = 1000
    """Connections open at once per credential."""
    headers: dict[str, SecretRef] = {}
    """Further headers for every call, such as `OpenAI-Organization`."""
    quirks: tuple[Literal["no-stream-usage", "responses"], ...] = ()
    """Deviations of this upstream. `no-stream-usage`: it rejects `stream_options`. `responses`: it serves OpenAI's
    Responses API itself (as api.openai.com and Azure's `/openai/v1` are known to do); without it calls are translated.
    """
    priced_as: str | None = None
    """The price book's name of this provider. Absent: found by the base URL, else by this resource's name."""

    def __post_init__(self) -> None:
        if (self.client_cert_file is None) != (self.client_key_file is None):
            raise ValueError("`clientCertFile` and `clientKeyFile` go together: one of them is missing")


class Provider(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An account at an upstream: dialect, base URL, a pool of keys."""

    api_version: ApiVersion = "tidegate/v1"
    """The version of this format."""
    kind: Literal["Provider"] = "Provider"
    """Which resource this is."""
    metadata: Metadata
    """Its name and labels."""
    spec: ProviderSettings
    """What it is."""
