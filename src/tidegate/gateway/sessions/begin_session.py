"""The beginning of a session: admitted as a call, it claims a request and a place for its life, and its first response."""

from tidegate.core.claims import Refusal
from tidegate.core.problem import Problem
from tidegate.decide.admit import admit, refusal_problem
from tidegate.decide.compiled import CompiledConsumer
from tidegate.dialects.openai.realtime import view_of
from tidegate.dialects.registry import DIALECTS
from tidegate.gateway.begin import refuse
from tidegate.gateway.headers import header_value
from tidegate.gateway.record import CallRecord
from tidegate.gateway.runtime import Runtime
from tidegate.gateway.sessions.handshake import Handshake
from tidegate.gateway.sessions.meter import RESPONSE_CLAIMS, SESSION_CLAIMS, Reservation, lease_of, part_of
from tidegate.gateway.sessions.opening import Opening
from tidegate.wire.server import Exchange


def begin_session(runtime: Runtime, exchange: Exchange, opening: Opening, consumer: CompiledConsumer) -> None:
    """From here the Handshake lives by its callbacks, and then the Session by its own."""
    request = exchange.request
    record = CallRecord(runtime, DIALECTS["openai"], "realtime", consumer, opening.key, request)
    view = view_of(opening.model)
    view.id, view.time_ns = record.id, record.time_ns
    region = consumer.region or header_value(request.headers, b"x-tidegate-region").decode("latin-1") or None
    admission = admit(view, consumer, runtime.compiled, region)
    if isinstance(admission, Problem):
        refuse(runtime, exchange, record, view, admission)
        return
    record.admitted(admission)
    session = runtime.state.take(part_of(admission.claims, SESSION_CLAIMS), lease_of(runtime))
    if isinstance(session, Refusal):
        record.refused = session
        refuse(runtime, exchange, record, view, refusal_problem(session, record.time_ns))
        return
    claims = part_of(admission.claims, RESPONSE_CLAIMS)
    response = runtime.state.take(claims, lease_of(runtime))
    if isinstance(response, Refusal):
        runtime.state.release(session)
        record.refused = response
        refuse(runtime, exchange, record, view, refusal_problem(response, record.time_ns))
        return
    record.claims = part_of(admission.claims, SESSION_CLAIMS)
    runtime.metrics.in_flight += 1
    runtime.health.count_call()
    first = Reservation(response, claims)
    call = Handshake(runtime, exchange, view, admission, session, record, first=first, opening=opening, region=region)
    exchange.listener = call
    try:
        call.start()
    except Exception:
        call.abandon()
        raise  # the server tells the client
