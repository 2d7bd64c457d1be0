"""The beginning of a call: its body is read, it is admitted, it claims; or it is refused, and that is recorded too."""

from typing import Final

from msgspec.structs import replace

from tidegate.core.claims import Refusal
from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import FORMS, PathTells, View
from tidegate.decide.admit import Admission, admit, refusal_problem
from tidegate.decide.compiled import CompiledConsumer
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.predictive import JSON_LENGTH
from tidegate.dialects.registry import DIALECTS
from tidegate.gateway.call import Call
from tidegate.gateway.endpoints import Endpoint
from tidegate.gateway.headers import answer_head, header_value, problem_headers
from tidegate.gateway.kept.affinity import bind
from tidegate.gateway.record import CallRecord, End
from tidegate.gateway.runtime import Runtime
from tidegate.wire.message import Request
from tidegate.wire.server import Exchange

_LEASE_MARGIN: Final = 60.0
_JSON: Final = "content-type: application/json\r\n"
_NOTHING_USED: Final = Usage(source="reported")


def begin(runtime: Runtime, exchange: Exchange, endpoint: Endpoint, consumer: CompiledConsumer, digest: bytes) -> None:
    """From here the Call lives by its callbacks."""
    request = exchange.request
    record = CallRecord(runtime, endpoint.dialect, endpoint.operation, consumer, digest, request)
    try:
        view = endpoint.dialect.read(endpoint.operation, request.body, _tells(endpoint, request))
    except UnreadableRequest as error:
        refuse(runtime, exchange, record, None, error.problem)
        return
    view.id, view.time_ns, view.clock, view.headers = record.id, record.time_ns, runtime.clock, request.headers
    record.operation = view.operation  # at some paths the body alone tells it
    if view.refers:
        unbound = bind(runtime, consumer.name, view)
        if unbound is not None:
            refuse(runtime, exchange, record, view, unbound)
            return
    _admit(runtime, exchange, view, record)


def begin_stored(runtime: Runtime, exchange: Exchange, view: View, consumer: CompiledConsumer, digest: bytes) -> None:
    """A call about a response that an upstream keeps: `stored_responses` has read it."""
    record = CallRecord(runtime, DIALECTS[view.dialect], view.operation, consumer, digest, exchange.request)
    view.id, view.time_ns, view.headers = record.id, record.time_ns, exchange.request.headers
    _admit(runtime, exchange, view, record)


def _admit(runtime: Runtime, exchange: Exchange, view: View, record: CallRecord) -> None:
    consumer, request = record.consumer, exchange.request
    region = consumer.region or header_value(request.headers, b"x-tidegate-region").decode("latin-1") or None
    enter(runtime, exchange, record, view, admit(view, consumer, runtime.compiled, region))


def enter(runtime: Runtime, exchange: Exchange, record: CallRecord, view: View, admission: Admission | Problem) -> None:
    """Takes what the call has to claim, and starts it."""
    if isinstance(admission, Problem):
        refuse(runtime, exchange, record, view, admission)
        return
    record.admitted(admission)
    view.search_cap = admission.search_cap
    taken = runtime.state.take(admission.claims, admission.route.deadline + _LEASE_MARGIN)
    if isinstance(taken, Refusal):
        record.refused = taken
        refuse(runtime, exchange, record, view, refusal_problem(taken, record.time_ns))
        return
    runtime.metrics.in_flight += 1
    runtime.health.count_call()
    call = Call(runtime, exchange, view, admission, taken, record)
    exchange.listener = call
    try:
        call.start()
    except Exception:
        call.abandon()
        raise  # the server tells the client


def _tells(endpoint: Endpoint, request: Request) -> PathTells:
    if endpoint.operation not in FORMS:
        return endpoint.tells
    headers = request.headers
    length = header_value(headers, JSON_LENGTH) if endpoint.operation == "inference" else b""
    return replace(endpoint.tells, media=header_value(headers, b"content-type"), json_bytes=length)


def refuse(runtime: Runtime, exchange: Exchange, record: CallRecord, view: View | None, problem: Problem) -> None:
    """Before anything was taken: the refusal is recorded, and told."""
    end = End(problem.status, "refused", code=problem.code, reason=problem.message, usage=_NOTHING_USED)
    record.keep(runtime, view, None, end)
    remaining = runtime.state.remaining(runtime.state.counters(record.consumer.buckets))
    head = _JSON + answer_head(record, "", remaining, record.time_ns) + problem_headers(problem, record.dialect)
    exchange.respond(problem.status, head.encode(), record.dialect.encode_problem(problem))
