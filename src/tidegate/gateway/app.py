"""The gateway port's application: from a request's path to the Call that serves it, or to a clear refusal.

Which paths there are is said by the dialects (`endpoints`).
"""

import re
from collections.abc import Set
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

import msgspec

from tidegate import __version__
from tidegate.core.problem import Problem
from tidegate.core.view import METHODS, PathTells, View
from tidegate.decide.compiled import CompiledConsumer
from tidegate.dialects.dialect import Dialect, SigningDialect
from tidegate.dialects.listing import ListedModel, ListsModels
from tidegate.dialects.openai import model_object
from tidegate.gateway.begin import begin, begin_stored
from tidegate.gateway.credentials.identity import MISSING_KEY, UNKNOWN_KEY, key_digest
from tidegate.gateway.credentials.signed_access import ELSEWHERE, MISMATCH, is_signed
from tidegate.gateway.endpoints import EXACT, Endpoint, find_endpoint, queried_key, spoken_by
from tidegate.gateway.headers import problem_headers, request_id, request_id_headers
from tidegate.gateway.kept.batch_watch import BatchWatch
from tidegate.gateway.kept.kept_responses import ask_again
from tidegate.gateway.kept.object_paths import ObjectAsked, read_object_path
from tidegate.gateway.kept.objects import serve_object
from tidegate.gateway.kept.response_watch import ResponseWatch
from tidegate.gateway.kept.stored_responses import PATH as STORED_PATH
from tidegate.gateway.kept.stored_responses import stored_view
from tidegate.gateway.passthrough import ROOT as PASSTHROUGH
from tidegate.gateway.passthrough import begin_passthrough
from tidegate.gateway.runtime import Runtime
from tidegate.gateway.sessions.begin_session import begin_session
from tidegate.gateway.sessions.opening import REALTIME_PATHS, key_in_protocols, read_opening
from tidegate.wire.message import Request
from tidegate.wire.server import Exchange

_JSON: Final = b"content-type: application/json\r\n"
_MODELS_PATH: Final = re.compile(
    rb"(?:(?:(?:/openai|/anthropic)?/v1|(?:/gemini)?/v1(?:beta)?)/models(?:/(.+))?|(?:/ollama)?/api/tags)$"
)
_VERSION_PATHS: Final = (b"/api/version", b"/ollama/api/version")

_UNIDENTIFIED: Final = frozenset((UNKNOWN_KEY.code, MISMATCH.code))
"""Codes of refusals for want of a consumer."""

_HEALTH: Final[dict[bytes, tuple[Literal["alive", "ready"], bytes]]] = {
    b"/healthz": ("alive", b'{"status":"ok"}'),
    b"/readyz": ("ready", b'{"status":"ready"}'),
    b"/v2/health/live": ("alive", b'{"live":true}'),  # Open Inference Protocol
    b"/v2/health/ready": ("ready", b'{"ready":true}'),
}

_TOO_BUSY: Final = Problem(
    status=503,
    code="no_healthy_target",
    message="The gateway is at its limit of calls in flight (maxCalls). Try again in a moment.",
    retry_after_seconds=1.0,
)
_DRAINING: Final = Problem(
    status=503, code="no_healthy_target", message="The gateway is stopping. Try again.", retry_after_seconds=1.0
)


class GatewayApp:
    """One per worker."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._batches = BatchWatch(runtime)
        self._responses = ResponseWatch(runtime)

    def open_events(self) -> list[str]:
        """The ids of UsageEvents that are due for what providers do by themselves, as far as the registry knows."""
        return self._batches.open_events() + self._responses.open_events()

    def restore(self, recorded: Set[str]) -> None:
        """After a start. `recorded`: of the open events those that the ledger has already."""
        self._batches.restore(recorded)
        self._responses.restore(recorded)

    def tick(self) -> None:
        """To be called every second or so."""
        self._batches.tick()
        self._responses.tick()

    def close(self) -> None:
        self._batches.close()
        self._responses.close()

    def on_head(self, request: Request) -> tuple[int, bytes, bytes] | None:
        """Refuses before a body is read what would be refused after it: unknown paths, unknown keys."""
        problem = self._refused_by_head(request)
        if problem is None:
            return None
        self._count(problem)
        headers, body = self._rendered(request, problem)
        return problem.status, headers, body

    def on_request(self, exchange: Exchange) -> None:
        request = exchange.request
        endpoint = EXACT.get(request.path) or find_endpoint(request)
        if endpoint is None and request.path.startswith(PASSTHROUGH):
            caller = self._caller(exchange)
            if caller is not None:
                begin_passthrough(self._runtime, exchange, *caller)
            return
        if endpoint is None or request.method != METHODS.get(endpoint.operation, b"POST"):
            self._other(exchange, endpoint)
            return
        caller = self._caller(exchange, endpoint)
        if caller is not None:
            begin(self._runtime, exchange, endpoint, *caller)

    def wire_error(self, request: Request | None, status: int, code: str, message: str) -> tuple[bytes, bytes]:
        return self._rendered(request, Problem(status=status, code=code, message=message))

    def _caller(self, exchange: Exchange, endpoint: Endpoint | None = None) -> tuple[CompiledConsumer, bytes] | None:
        """Who calls, and by which key; None where a call cannot begin now, and then the client has been told."""
        identified = self._identified(exchange.request, endpoint)
        runtime = self._runtime
        if isinstance(identified, Problem):
            self._refuse(exchange, identified)
        elif runtime.metrics.in_flight >= runtime.snapshot.server.max_calls:
            self._refuse(exchange, _TOO_BUSY)
        elif not runtime.spool.ready:
            self._refuse(exchange, _no_records(runtime.spool.reason))
        else:
            return identified[1], identified[0]
        return None

    def _identified(
        self, request: Request, endpoint: Endpoint | None = None, *, whole: bool = True
    ) -> tuple[bytes, CompiledConsumer] | Problem:
        """`whole`: with its body, which a signature depends on."""
        digest = key_digest(request, queried_key(request, endpoint))
        if digest is None:
            signed = self._signed_by(request, endpoint, whole=whole)
            if isinstance(signed, Problem):
                return signed
            digest = signed
        consumer = self._runtime.compiled.consumer_for(digest)
        if consumer is None:
            return UNKNOWN_KEY
        return digest, consumer

    def _signed_by(self, request: Request, endpoint: Endpoint | None, *, whole: bool) -> bytes | Problem:
        """The digest of the key that a request without one is signed with."""
        if not is_signed(request):
            return MISSING_KEY
        if endpoint is None or not isinstance(endpoint.dialect, SigningDialect):
            return ELSEWHERE
        runtime = self._runtime
        return runtime.signed_access.digest_of(request, runtime.clock.now_ns(), whole=whole)

    def _refused_by_head(self, request: Request) -> Problem | None:
        endpoint = find_endpoint(request)
        if endpoint is None and not _is_known(request):
            return _unknown_path(request)
        identified = self._identified(request, endpoint, whole=False)
        return identified if isinstance(identified, Problem) else None

    def _refuse(self, exchange: Exchange, problem: Problem) -> None:
        self._count(problem)
        headers, body = self._rendered(exchange.request, problem)
        exchange.respond(problem.status, headers, body)

    def _count(self, problem: Problem) -> None:
        if problem.code in _UNIDENTIFIED:
            self._runtime.metrics.unauthenticated += 1

    def _other(self, exchange: Exchange, endpoint: Endpoint | None) -> None:
        request = exchange.request
        path = request.path
        if endpoint is not None:
            method = METHODS.get(endpoint.operation, b"POST")
            message = f"This path takes {method.decode()}."
            problem = Problem(status=405, code="invalid_request", message=message)
            headers, body = self._rendered(request, problem)
            exchange.respond(405, headers + b"allow: %b\r\n" % method, body)
        elif path in _HEALTH:
            self._health(exchange)
        elif path in _VERSION_PATHS and request.method in (b"GET", b"HEAD"):
            exchange.respond(200, _JSON, b'{"version":"%s"}' % __version__.encode())  # Ollama's clients ask for it
        elif path == b"/" and request.method == b"HEAD":
            exchange.respond(200, _JSON, b"")  # Claude Code asks this before its first call
        elif request.method in (b"GET", b"HEAD") and _MODELS_PATH.match(path):
            self._models(exchange)
        elif request.method == b"GET" and path in REALTIME_PATHS:
            self._session(exchange)
        elif request.method in (b"GET", b"HEAD", b"DELETE", b"POST") and STORED_PATH.fullmatch(path):
            self._kept(exchange)
        else:
            self._object(exchange)

    def _object(self, exchange: Exchange) -> None:
        """What a provider keeps for a consumer."""
        request = exchange.request
        asked = read_object_path(request) or _unknown_path(request)
        if isinstance(asked, Problem):
            self._refuse(exchange, asked)
            return
        caller = self._caller(exchange)
        if caller is not None:
            serve_object(self._runtime, self._batches, exchange, asked, *caller)

    def _kept(self, exchange: Exchange) -> None:
        request = exchange.request
        caller = self._caller(exchange)
        if caller is None:
            return
        consumer, digest = caller
        view = stored_view(self._runtime, consumer.name, request)
        if isinstance(view, View):
            begin_stored(self._runtime, exchange, view, consumer, digest)
            return
        told = view or ask_again(self._runtime.answers, consumer.name, request)
        if isinstance(told, Problem):
            self._refuse(exchange, told)
        else:
            exchange.respond(200, self._head(request, spoken_by(request)), told)

    def _session(self, exchange: Exchange) -> None:
        runtime, request = self._runtime, exchange.request
        told = PathTells(key_digest=key_in_protocols(request))
        identified = self._identified(request, Endpoint(spoken_by(request), "realtime", told))
        if isinstance(identified, Problem):
            self._refuse(exchange, identified)
            return
        opening = read_opening(request, identified[0])
        if isinstance(opening, Problem):
            self._refuse(exchange, opening)
        elif not runtime.ready:
            self._refuse(exchange, _DRAINING)
        elif runtime.metrics.in_flight >= runtime.snapshot.server.max_calls:
            self._refuse(exchange, _TOO_BUSY)
        elif not runtime.spool.ready:
            self._refuse(exchange, _no_records(runtime.spool.reason))
        else:
            begin_session(runtime, exchange, opening, identified[1])

    def _health(self, exchange: Exchange) -> None:
        question, said = _HEALTH[exchange.request.path]
        if question == "alive" or self._runtime.ready:
            exchange.respond(200, _JSON, said)
        else:
            self._refuse(exchange, _DRAINING)

    def _models(self, exchange: Exchange) -> None:
        """`GET /v1/models` and `/v1/models/{id}`: what this key may call, and nothing of the rest."""
        identified = self._identified(exchange.request)
        if isinstance(identified, Problem):
            self._refuse(exchange, identified)
            return
        _, consumer = identified
        asked = _MODELS_PATH.match(exchange.request.path)
        routes = self._runtime.compiled.routes
        dialect = spoken_by(exchange.request)
        if asked is None or asked[1] is None:
            models = [ListedModel(name, routes[name].spec.created) for name in sorted(consumer.models)]
            page = dialect.model_page(models) if isinstance(dialect, ListsModels) else _openai_page(models)
            exchange.respond(200, self._head(exchange.request, dialect), msgspec.json.encode(page))
            return
        name = unquote_to_bytes(asked[1]).decode(errors="replace")
        if name not in consumer.models:
            self._refuse(
                exchange,
                Problem(status=404, code="model_not_found", message=f"No model `{name}` for this key.", field="model"),
            )
            return
        model = ListedModel(name, routes[name].spec.created)
        entry = dialect.model_entry(model) if isinstance(dialect, ListsModels) else model_object(name, model.created)
        exchange.respond(200, self._head(exchange.request, dialect), msgspec.json.encode(entry))

    def _rendered(self, request: Request | None, problem: Problem) -> tuple[bytes, bytes]:
        dialect = spoken_by(request)
        return self._head(request, dialect) + problem_headers(problem, dialect).encode(), dialect.encode_problem(
            problem
        )

    def _head(self, request: Request | None, dialect: Dialect) -> bytes:
        """The fields of an answer that no Call made."""
        own = self._runtime.ids.next()
        name = own if request is None else request_id(request.header(b"x-request-id"), own)
        return _JSON + request_id_headers(name, dialect).encode()


def _openai_page(models: list[ListedModel]) -> object:
    return {"object": "list", "data": [model_object(one.name, one.created) for one in models]}


def _is_known(request: Request) -> bool:
    """Of paths that no dialect matches."""
    if request.path.startswith(PASSTHROUGH) or STORED_PATH.fullmatch(request.path):
        return True
    return isinstance(read_object_path(request), ObjectAsked)


def _unknown_path(request: Request) -> Problem:
    asked = f"{request.method.decode('latin-1')} {request.path[:200].decode('latin-1')}"
    served = ", ".join(sorted(path.decode() for path in EXACT if path.startswith(b"/v1")))
    return Problem(
        status=404,
        code="not_found",
        message=f"{asked} is not served here. Served: POST {served}; GET /v1/models, /healthz, /readyz.",
    )


def _no_records(reason: str) -> Problem:
    return Problem(
        status=503,
        code="ledger_unavailable",
        message=f"New calls are refused because they could not be recorded: {reason}",
        retry_after_seconds=5.0,
    )
