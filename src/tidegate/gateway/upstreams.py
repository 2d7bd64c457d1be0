"""Connections to providers: one pool per credential, and the request heads that never change, made ahead.

A pool outlives a reload when nothing that it is made of has changed.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from tidegate import __version__
from tidegate.core.clock import Clock
from tidegate.core.snapshot import ProviderSpec, Snapshot
from tidegate.core.view import FORMS, METHODS, STORED, Operation
from tidegate.dialects.dialect import AccessKey, Dialect, SigningDialect
from tidegate.dialects.keeping import KEEPERS
from tidegate.dialects.registry import DIALECTS
from tidegate.gateway.credentials.issuers import SignerOf, issuer_of
from tidegate.gateway.credentials.proof_source import ProofSource
from tidegate.gateway.credentials.secrets import AccessToken, Secret, secret_now, secret_of
from tidegate.wire.client import Origin, Pool, PoolSettings, Resolver, TlsSettings, parse_origin
from tidegate.wire.message import encode_headers

_MAX_HEADS: Final = 4_096


class Credential:
    """One key of a provider with its connection pool. `heads` are request heads up to the per-call headers."""

    __slots__ = (
        "_bare",
        "_base_path",
        "_dialect",
        "_fixed",
        "_heads",
        "_spec",
        "defaults",
        "id",
        "pool",
        "proofs",
        "provider",
        "signer",
    )

    def __init__(
        self,
        spec: ProviderSpec,
        credential_id: str,
        secret: Secret,
        pool: Pool,
        base_path: str,
        proofs: ProofSource | None = None,
    ) -> None:
        self.provider = spec.name
        self.id = credential_id
        self.pool = pool
        self._spec = spec
        self._base_path = base_path
        self._dialect: Dialect = DIALECTS[spec.dialect]
        self._heads: dict[tuple[str, Operation, str, bool], bytes] = {}
        self.defaults = encode_headers(list(self._dialect.default_headers()))
        """Headers for calls that bring none of the dialect's own."""
        origin = pool.origin
        pairs = [
            (b"host", origin.host_header.encode()),
            (b"accept-encoding", b"identity"),
            (b"user-agent", b"tidegate/" + __version__.encode()),
        ]
        if isinstance(secret, str):
            pairs.append(self._dialect.credential_header(secret))
        elif isinstance(secret, AccessToken):
            pairs.append((b"authorization", b"Bearer " + secret.text.encode()))
        self.proofs = proofs
        """Set where each request shows what holds for a while alone: it is sent through it."""
        signing = _signing(self._dialect, spec, origin)
        self.signer = signing[1](secret) if isinstance(secret, AccessKey) and signing is not None else None
        """Set where each request must be signed: see `credentials/signing.py`."""
        pairs.extend((name.lower().encode(), secret_now(value).encode()) for name, value in spec.headers)
        self._bare = encode_headers(pairs)
        self._fixed = encode_headers([*pairs, (b"content-type", b"application/json")])

    def renews(self) -> bool:
        """The upstream refused it. Whether its next request will show something else."""
        return self.proofs is not None and self.proofs.refused()

    def close(self) -> None:
        """Once its calls have ended."""
        self.pool.close()
        if self.proofs is not None:
            self.proofs.close()

    def head(self, dialect: Dialect, operation: Operation, model: str, stream: bool) -> bytes:
        """Request line and fixed headers for one upstream model; the caller adds its own headers and the length, and
        for one of `FORMS` the content type.

        `dialect`: the one of the provider's dialects that the call is made in.
        """
        key = (dialect.name, operation, model, stream)
        head = self._heads.get(key)
        if head is None:
            target = dialect.upstream_path(operation, model, self._base_path, self._spec.api_version, stream=stream)
            method = METHODS.get(operation, b"POST")
            fixed = self._bare if operation in FORMS or operation == "realtime" else self._fixed
            if len(self._heads) >= _MAX_HEADS:
                self._heads.clear()  # clients can choose versions of a model: their number is theirs
            if operation in STORED:
                return b"%b %b HTTP/1.1\r\n%b" % (method, target.encode(), fixed)  # each path is one call's
            head = self._heads[key] = b"%b %b HTTP/1.1\r\n%b" % (method, target.encode(), fixed)
        return head

    def head_of(self, method: bytes, target: bytes) -> bytes:
        """Request line and fixed headers for any path; the caller adds its own headers, the content type and the length."""
        return b"%b %b HTTP/1.1\r\n%b" % (method, target, self._bare)

    def object_head(self, method: bytes, path: str) -> bytes:
        """As `head`, for what the provider keeps (`dialects/keeping.py`); the caller adds the content type too."""
        target = KEEPERS[self._spec.dialect](self._base_path, self._spec.api_version, path)
        return self.head_of(method, target.encode())


class Upstreams:
    """All credentials of a snapshot, by (provider, credential id)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, resolver: Resolver, clock: Clock) -> None:
        self._loop = loop
        self._resolver = resolver
        self._clock = clock
        self._credentials: dict[tuple[str, str], Credential] = {}
        self._made_of: dict[tuple[str, str], tuple[ProviderSpec, Secret]] = {}

    def prepare(self, snapshot: Snapshot) -> "Upstreams":
        """The upstreams of another snapshot, sharing every pool that is unchanged. Raises SecretMissing.

        `self` stays whole, so a snapshot that cannot be prepared changes nothing.
        """
        fresh = Upstreams(self._loop, self._resolver, self._clock)
        for spec in snapshot.providers:
            for credential in spec.credentials:
                key = (spec.name, credential.id)
                secret = secret_of(credential)
                made_of = (spec, secret)
                fresh._made_of[key] = made_of
                if self._made_of.get(key) == made_of:
                    fresh._credentials[key] = self._credentials[key]
                else:
                    fresh._credentials[key] = self._made(spec, credential.id, secret)
        return fresh

    def credential(self, provider: str, credential_id: str) -> Credential:
        return self._credentials[provider, credential_id]

    def retire(self, successor: "Upstreams") -> None:
        """Closes the pools that `successor` does not share, once their calls have ended."""
        kept = {id(credential) for credential in successor._credentials.values()}
        for credential in self._credentials.values():
            if id(credential) not in kept:
                credential.close()

    def close(self) -> None:
        for credential in self._credentials.values():
            credential.close()

    def connections(self) -> Iterator[tuple[str, int, int]]:
        """(provider, open, idle) for each credential's pool."""
        for credential in self._credentials.values():
            yield credential.provider, credential.pool.open_connections, credential.pool.idle_connections

    def _made(self, spec: ProviderSpec, credential_id: str, secret: Secret) -> Credential:
        origin, base_path = parse_origin(spec.base_url)
        name = f"provider {spec.name}, credential {credential_id}"
        signing = _signing(DIALECTS[spec.dialect], spec, origin)
        issuer = issuer_of(name, secret, signing, loop=self._loop, resolver=self._resolver, clock=self._clock)
        proofs = None if issuer is None else ProofSource(name, issuer, loop=self._loop, clock=self._clock)
        pool = Pool(origin, _pool_settings(spec, origin), loop=self._loop, resolver=self._resolver)
        return Credential(spec, credential_id, secret, pool, base_path.decode(), proofs)


def _signing(dialect: Dialect, spec: ProviderSpec, origin: Origin) -> tuple[str, SignerOf] | None:
    """The region and who signs for it; None where nothing is signed, or the rules of the configuration refuse it."""
    region = spec.region
    if not isinstance(dialect, SigningDialect) or region is None:
        return None
    return region, lambda key: dialect.signer(key, region, origin.host_header)


def _pool_settings(spec: ProviderSpec, origin: Origin) -> PoolSettings:
    times = spec.timeouts
    return PoolSettings(
        connect_timeout=times.connect,
        first_byte_timeout=times.first_byte,
        idle_timeout=times.idle,
        total_timeout=times.total,
        max_connections=spec.max_connections,
        tls=TlsSettings(
            ca_file=spec.ca_file,
            cert_file=spec.client_cert_file,
            key_file=spec.client_key_file,
            verify=spec.verify_tls,
        ),
    )
