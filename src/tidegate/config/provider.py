"""`kind: Provider`: an account at an upstream."""

import re
from difflib import get_close_matches
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from tidegate.config.metadata import ApiVersion, Metadata
from tidegate.config.scalars import Duration
from tidegate.config.services import SERVICES
from tidegate.core.snapshot import SecretRef

Dialect = Literal[
    "openai", "azure-openai", "mistral", "ollama", "cohere", "anthropic", "gemini", "vertex", "bedrock", "oip", "tfserving",
    "torchserve",
]  # fmt: skip

GLOBAL = "global"
"""Vertex AI's location that is no place."""
_LOCATION = re.compile(r"[a-z][a-z0-9-]{0,62}")

Quirk = Literal[
    "no-stream-usage", "responses", "responses-only", "max-tokens", "top-k", "reasoning-effort", "rerank-top-k",
    "stream-only", "no-stream",
]  # fmt: skip


class Credential(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One key of the account."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = None
    """How metrics and decisions call it; by default its position, from `0`."""
    api_key: SecretRef | None = None
    """The key: `{env: NAME}`, `{file: PATH}` or the text itself. Absent: the upstream wants none."""
    access_key_id: SecretRef | None = None
    """`bedrock`: in place of `apiKey`, the id of an AWS access key. Every request is signed with it."""
    secret_access_key: SecretRef | None = None
    """`bedrock`: the secret of that access key."""
    session_token: SecretRef | None = None
    """`bedrock`: the session token of a temporary access key."""
    aws_chain: bool = False
    """`bedrock`: the access key is the one that AWS's own SDKs would find where the gateway runs: environment, profiles,
    the role of a pod, task or instance. It is renewed in time. Needs an extra: `pip install "tidegate[bedrock]"`."""
    access_token: SecretRef | None = None
    """`vertex`: in place of `apiKey`, an OAuth access token as it is. It ends within an hour: for trying things out."""
    service_account: SecretRef | None = None
    """`vertex`: the content of a service account's JSON key, such as `{file: /run/secrets/vertex.json}`. Access tokens are
    fetched with it and renewed in time. Needs the extra `vertex`: `pip install "tidegate[vertex]"`."""
    metadata_server: bool = False
    """`vertex`: access tokens come from the machine's own metadata server: on GCE, on GKE with workload identity, on
    Cloud Run."""
    weight: Annotated[int, Meta(ge=0)] = 1
    """Share of the calls, relative to the other credentials; 0 takes none."""

    def __post_init__(self) -> None:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("`accessKeyId` and `secretAccessKey` go together: one of them is missing")
        if self.session_token is not None and self.access_key_id is None:
            raise ValueError("`sessionToken` belongs to an `accessKeyId`, which is missing")
        kinds = {
            "apiKey": self.api_key is not None,
            "accessKeyId": self.access_key_id is not None,
            "awsChain": self.aws_chain,
            "accessToken": self.access_token is not None,
            "serviceAccount": self.service_account is not None,
            "metadataServer": self.metadata_server,
        }
        written = [name for name, there in kinds.items() if there]
        if len(written) > 1:
            raise ValueError(f"`{written[0]}` and `{written[1]}` are two kinds of credential: write one of them")


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
    service: str | None = None
    """A well-known service, such as `groq` or `deepseek`: sets dialect, base URL and quirks (docs/providers.md)."""
    dialect: Dialect = "openai"
    """The wire format that the upstream speaks. Servers that follow OpenAI's API (vLLM, Groq, DeepSeek, …): `openai`."""
    base_url: Annotated[str, Meta(pattern=r"^(https?://[^/?#\s@]+(/[^?#\s]*)?)?$")] = ""
    """Where the API begins, such as `https://api.openai.com/v1`. Required unless `service` says it; with `dialect: vertex`
    it follows from `region`."""
    credentials: tuple[Credential, ...] = ()
    """A pool of keys. Absent: one credential without a key."""
    region: str | None = None
    """Where the upstream computes, as you name regions. With `dialect: bedrock`: AWS's name of it, such as `eu-central-1`.
    `vertex`: Google's location, such as `europe-west4`, `eu` or `global`, which it is by default."""
    project: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:_-]{0,127}$")] | None = None
    """`vertex`: the id of the Google Cloud project that the calls belong to. Absent: express mode, with an `apiKey`."""
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
    quirks: tuple[Quirk, ...] = ()
    """Deviations of this upstream from what its dialect's maker does. `no-stream-usage`: it rejects `stream_options`.
    `responses`: it serves `/responses` itself. `responses-only`: it serves nothing else, so that clients of every chat
    dialect are translated to it. `max-tokens`: it knows `max_tokens` and no `max_completion_tokens`. `top-k`:
    it takes `top_k`. `reasoning-effort`: it takes `reasoning_effort` for every model. `rerank-top-k`: it reranks
    in Voyage's form. `stream-only`: it answers chats as streams alone, which are gathered for clients that want the whole
    answer. `no-stream`: it cannot stream chats, its whole answers are told as streams to clients that want one."""
    priced_as: str | None = None
    """The price book's name of this provider. Absent: found by the base URL, else by this resource's name."""

    def __post_init__(self) -> None:
        if self.service is not None:
            self._take_service(self.service)
        elif self.dialect == "vertex":
            self._take_vertex()
        elif not self.base_url:
            raise ValueError("`baseUrl` is missing: say where the API begins, or name a `service`")
        if {"stream-only", "no-stream"} <= set(self.quirks):
            raise ValueError("quirks `stream-only` and `no-stream` contradict each other: write one of them")
        if (self.client_cert_file is None) != (self.client_key_file is None):
            raise ValueError("`clientCertFile` and `clientKeyFile` go together: one of them is missing")

    def _take_vertex(self) -> None:
        """Source: the base URLs of the official `google-genai` and `anthropic` SDKs."""
        location = self.region or GLOBAL
        if _LOCATION.fullmatch(location) is None:
            raise ValueError(f"`region` `{location}` is not a location of Google's, such as `europe-west4` or `global`")
        if not self.base_url:
            hosts = {GLOBAL: "aiplatform", "us": "aiplatform.us.rep", "eu": "aiplatform.eu.rep"}
            host = hosts.get(location, f"{location}-aiplatform")
            force_setattr(self, "base_url", f"https://{host}.googleapis.com")

    def _take_service(self, name: str) -> None:
        service = SERVICES.get(name)
        if service is None:
            near = get_close_matches(name, SERVICES, 1)
            hint = f"did you mean `{near[0]}`" if near else "write `dialect` and `baseUrl` in its place"
            raise ValueError(f"`service` `{name}` is not known: {hint}")
        if self.dialect not in ("openai", service.dialect):
            raise ValueError(f"`service: {name}` speaks {service.dialect}: leave `dialect` out")
        force_setattr(self, "dialect", service.dialect)
        force_setattr(self, "base_url", self.base_url or service.base_url)
        force_setattr(self, "quirks", tuple(dict.fromkeys((*service.quirks, *self.quirks))))


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
