"""`/passthrough/{provider}/…`: any path of a provider, for consumers that are allowed to, metered by its dialect.

The path is taken below the provider's base URL. What is made there (files, batches, assistants) belongs to the account, and
is seen by everyone who may pass through to it.
"""

import re
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.snapshot import ProviderSpec
from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.decide.compiled import CompiledConsumer
from tidegate.decide.passthrough import admit_passthrough, no_account
from tidegate.dialects.dialect import Dialect, UnreadableRequest
from tidegate.dialects.registry import DIALECTS, surfaces_of
from tidegate.gateway.attempts.verbatim import Verbatim
from tidegate.gateway.begin import enter, refuse
from tidegate.gateway.record import CallRecord
from tidegate.gateway.runtime import Runtime
from tidegate.wire.client import parse_origin
from tidegate.wire.message import Request, encode_headers
from tidegate.wire.server import Exchange

ROOT: Final = b"/passthrough/"
_PATH: Final = re.compile(rb"/passthrough/([^/]+)(/.*)?")
_PROJECTS: Final = b"/projects/"
_VERSIONED: Final = re.compile(rb"(/v\d[^/]*)?(|/.*)", re.DOTALL)
_VERSION_AT_END: Final = re.compile(rb"/v\d[^/]*$")
_SLASHES: Final = re.compile(rb"//+")
_METHODS: Final = frozenset((b"GET", b"POST", b"PUT", b"PATCH", b"DELETE"))
_READING: Final = frozenset((b"GET", b"DELETE"))
_KEPT_HERE: Final = frozenset(
    (
        b"accept-encoding",
        b"api-key",
        b"authorization",
        b"connection",
        b"content-length",
        b"cookie",
        b"expect",
        b"forwarded",
        b"host",
        b"keep-alive",
        b"origin",
        b"proxy-authorization",
        b"referer",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"user-agent",
        b"via",
        b"x-api-key",
        b"x-goog-api-key",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-real-ip",
        b"x-request-id",
        b"x-amz-date",
        b"x-amz-content-sha256",
        b"x-amz-security-token",
        # These go upstream with every call.
        b"traceparent",
        b"tracestate",
        b"idempotency-key",
        b"x-client-request-id",
    )
)
"""Headers of a request that are credentials, the connection's, tell of the client's network, or make of the method another
than it is admitted as."""
_OURS: Final = (b"x-tidegate-", b"x-forwarded-")


def begin_passthrough(runtime: Runtime, exchange: Exchange, consumer: CompiledConsumer, digest: bytes) -> None:
    """As `begin`, for a path below `ROOT`."""
    request = exchange.request
    parts = _PATH.fullmatch(request.path)
    name = "" if parts is None else unquote_to_bytes(parts[1]).decode(errors="replace")
    account = runtime.compiled.accounts.get(name) if name in consumer.passthrough else None
    if parts is None or account is None:
        record = CallRecord(runtime, DIALECTS["openai"], "passthrough", consumer, digest, request)
        refuse(runtime, exchange, record, None, no_account(name, consumer))
        return
    provider = account.provider
    path = _below_base(provider, parts[2] or b"") or b"/"
    surface, operation, tells = _endpoint(provider, path)
    record = CallRecord(runtime, surface, "passthrough", consumer, digest, request)
    problem = _refused(request, parts[2] or b"")
    if problem is not None:
        refuse(runtime, exchange, record, None, problem)
        return
    reads = request.method in _READING
    view = None if reads or operation is None else _read(surface, operation, request.body, tells)
    bounded = view is not None
    view = view or _unread(surface, request.body)
    query = _query(provider, request.query, digest)
    view.operation, view.id, view.time_ns = "passthrough", record.id, record.time_ns
    view.media = next((value for key, value in request.headers if key == b"content-type"), b"")
    view.parts = Verbatim(
        request.method,
        path + (b"?" + query if query else b""),
        _headers(request, provider, DIALECTS[provider.dialect]),
        request.body,
        operation if bounded else None,
        reads,
    )
    enter(runtime, exchange, record, view, admit_passthrough(view, consumer, account, bounded=bounded, reads=reads))


def _refused(request: Request, path: bytes) -> Problem | None:
    if request.method not in _METHODS:
        message = f"A provider's paths take {', '.join(sorted(one.decode() for one in _METHODS))} here."
        return Problem(status=405, code="invalid_request", message=message)
    if any(segment in (b".", b"..") for segment in re.split(rb"[/\\]", unquote_to_bytes(path))):
        # What a provider makes of them could be a path outside of its base URL.
        message = "A path that is passed through has no `.` and `..` segments. Write the path that is meant."
        return Problem(status=400, code="invalid_request", message=message)
    return None


def _below_base(provider: ProviderSpec, path: bytes) -> bytes:
    """Behind the base URL's own path, which clients may write or leave out."""
    base = parse_origin(provider.base_url)[1]
    if provider.dialect == "vertex":
        return _below_project(base, path)
    return path if path == base or path.startswith(base + b"/") else base + path


def _below_project(base: bytes, path: bytes) -> bytes:
    """Vertex AI has the API's version before the project that the base URL ends with; clients may leave out either."""
    root, slash, place = base.partition(_PROJECTS)
    project = slash + place
    match = _VERSIONED.fullmatch(path.removeprefix(root))
    version, rest = (match[1] or b"", match[2]) if match is not None else (b"", path)
    if not version and _VERSION_AT_END.search(root) is None:
        version = b"/v1beta1"
    whole = not project or rest == project or rest.startswith(project + b"/")
    return root + version + (rest if whole else project + rest)


def _endpoint(provider: ProviderSpec, path: bytes) -> tuple[Dialect, Operation | None, PathTells]:
    """What the provider's dialects know of a path of its, or of one that most servers take for the same."""
    base = parse_origin(provider.base_url)[1]
    if provider.dialect == "vertex":
        base = base.partition(_PROJECTS)[0]
    plain = _SLASHES.sub(b"/", unquote_to_bytes(path)).rstrip(b"/")
    written = [(one.removeprefix(base), one) for one in dict.fromkeys((path, plain, plain.lower()))]
    for dialect in surfaces_of(provider.dialect):
        for one in (one for below, whole in written for one in (below, b"/v1" + below, whole)):
            operation = dialect.client_paths.get(one)
            if operation is not None:
                return dialect, operation, NO_PATH_TELLS
            found = dialect.match_path(one, b"") if dialect.matches_paths else None
            if found is not None:
                return dialect, *found
    return DIALECTS[provider.dialect], None, NO_PATH_TELLS


def _read(dialect: Dialect, operation: Operation, body: bytes, tells: PathTells) -> View | None:
    """None where it is not as the dialect has it: the provider may know better, and says so if not."""
    try:
        return dialect.read(operation, body, tells)
    except UnreadableRequest:
        return None


def _unread(dialect: Dialect, body: bytes) -> View:
    return View(
        dialect=dialect.name,
        operation="passthrough",
        model=_model_in(body),
        stream=False,
        fields={},
        body_bytes=len(body),
        estimated_input_tokens=0,
        worst_input_tokens=0,
        max_output_tokens=None,
    )


class _Named(msgspec.Struct):
    model: Raw = Raw(b"")


def _model_in(body: bytes) -> str:
    """The model that a JSON body names, else ""."""
    if not body.lstrip()[:1] == b"{":
        return ""
    try:
        named = msgspec.json.decode(body, type=_Named).model
        return msgspec.json.decode(named, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _query(provider: ProviderSpec, query: bytes, digest: bytes) -> bytes:
    """Without the key that clients of Google's may put there: it is the gateway's. `digest`: the key by which they call."""
    google = provider.dialect in ("gemini", "vertex")
    pairs = (pair.partition(b"=") for pair in query.split(b"&"))
    kept = [
        name + equals + value
        for name, equals, value in pairs
        if name != b"key" or not (google or sha256(unquote_to_bytes(value)).digest() == digest)
    ]
    return b"&".join(kept)


def _headers(request: Request, provider: ProviderSpec, dialect: Dialect) -> bytes:
    own = {name.lower().encode() for name, _ in provider.headers} | {dialect.credential_header("")[0], b"content-type"}
    sent = [
        (name, value)
        for name, value in request.headers
        if name not in _KEPT_HERE and name not in own and not name.startswith(_OURS)
    ]
    names = {name for name, _ in sent}
    lacking = [pair for pair in dialect.default_headers() if pair[0] not in names]
    return encode_headers([*sent, *lacking])
