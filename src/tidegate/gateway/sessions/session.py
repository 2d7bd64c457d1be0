"""One realtime session: a client's WebSocket and an upstream's, and what passes between them.

Messages pass as they came. Read are those that begin and end responses (the meter's business), those that set bounds, and
those that name the model.
"""

import asyncio
from typing import Final

from tidegate.core.problem import Problem
from tidegate.core.usage import Outcome, Usage
from tidegate.decide.compiled import CompiledTarget
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.openai import realtime
from tidegate.dialects.openai.realtime import Event
from tidegate.dialects.responses.hosted import hosted_references
from tidegate.gateway.kept.affinity import lead
from tidegate.gateway.runtime import Runtime
from tidegate.gateway.sessions.meter import Meter
from tidegate.wire.link import Link
from tidegate.wire.websocket import GOING_AWAY, INTERNAL, LOST, NO_CODE, NORMAL, POLICY, TEXT, TOO_BIG
from tidegate.wire.websocket_end import WebSocketEnd

_BOUND_EVENT: Final = "tidegate_bound"
_TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"
_PASSED_ON: Final = frozenset((NORMAL, GOING_AWAY, *range(3000, 5000)))
"""Close codes that one side's peer may tell the other's; what else they say is of their own connection."""
_UPSTREAM_LOST: Final = Problem(
    status=502, code="upstream_error", message="The upstream's session broke off. Open another one to go on."
)
_NO_EVENT: Final = Problem(
    status=400, code="invalid_request", message="This message is no event: send a JSON object with a `type`."
)
_UNBOUNDED: Final = Problem(
    status=502,
    code="upstream_error",
    message="The upstream does not take the bound on the output that a hard budget needs.",
)


class Session:
    """Owner of both ends. Whichever ends first ends the other; accounting is over before either is told."""

    def __init__(
        self, runtime: Runtime, meter: Meter, owner: str, model: str, target: CompiledTarget, *, preview: bool
    ) -> None:
        """`owner`: the consumer."""
        self._runtime = runtime
        self._owner = owner
        self._loop = runtime.loop
        self._limits = runtime.snapshot.server
        self._meter = meter
        self._model = model
        self._target = target
        self._preview = preview
        self._client: WebSocketEnd | None = None
        self._upstream: WebSocketEnd | None = None
        self._unseen_updates = 0
        self._capped: int | None = None
        self._draining = False
        self._last = 0.0
        self._timers: list[asyncio.TimerHandle] = []

    def begin(self, client: Link, upstream: Link, cap: int | None) -> None:
        """`cap`: the bound to set upstream before anything can begin there; None where no hard budget is in scope."""
        limits, loop = self._limits, self._loop
        self._last = loop.time()
        self._timers = [
            loop.call_later(limits.session_timeout, self._leave, "the session has reached its longest time"),
            loop.call_later(limits.session_idle_timeout, self._watch_idle),
        ]
        self._client = self._end_on(client, is_client=False)
        self._upstream = self._end_on(upstream, is_client=True)
        self._meter.cap = cap
        self._set_cap()
        self._upstream.begin()
        self._client.begin()

    def _end_on(self, link: Link, *, is_client: bool) -> WebSocketEnd:
        limits = self._limits
        return WebSocketEnd(
            link,
            self,
            loop=self._loop,
            is_client=is_client,
            max_bytes=limits.max_body_bytes,
            stall_timeout=limits.write_stall_timeout,
        )

    # The ends.

    def on_message(self, end: WebSocketEnd, opcode: int, payload: bytes) -> None:
        self._last = self._loop.time()
        event = realtime.read_event(payload)
        if end is self._client:
            self._from_client(opcode, payload, event)
        else:
            self._from_upstream(opcode, payload, event)

    def on_closed(self, end: WebSocketEnd, code: int, reason: str) -> None:
        if end is self._client:
            self._finish("cancelled" if self._meter.busy else "ok", "the client ended the session")
            self._close_upstream(code if code in _PASSED_ON else NORMAL, reason)
        else:
            self._finish(
                "cut" if self._meter.busy or code == LOST else "ok", f"the upstream ended the session ({code})"
            )
            if code == LOST:
                self._tell(_UPSTREAM_LOST, None)
                self._close_client(INTERNAL, "the upstream was lost")
            else:
                known = code in _PASSED_ON or code in (POLICY, TOO_BIG)
                self._close_client(NORMAL if code == NO_CODE else code if known else INTERNAL, reason)

    def on_pause(self, end: WebSocketEnd) -> None:
        other = self._other(end)
        if other is not None:
            other.pause()

    def on_resume(self, end: WebSocketEnd) -> None:
        other = self._other(end)
        if other is not None:
            other.resume()

    def on_drain(self, end: WebSocketEnd) -> None:
        """The response under way may end, if it does so in half of the time that there is."""
        if not self._meter.busy:
            self._leave("the gateway is stopping")
        elif not self._draining:
            self._draining = True
            wait = self._limits.drain_timeout / 2
            self._timers.append(self._loop.call_later(wait, self._leave, "the gateway is stopping"))

    # From the client.

    def _from_client(self, opcode: int, payload: bytes, event: Event | None) -> None:
        if event is None:
            # Another reader may make an event of it, which would then be neither metered nor bounded.
            self._tell(_NO_EVENT, None)
            return
        if event.type in ("response.create", "session.update"):
            member = "response" if event.type == "response.create" else "session"
            changed = self._admitted(event, payload, member)
            if isinstance(changed, Problem):
                self._tell(changed, event.event_id)
                return
            payload = changed
        if self._upstream is not None:
            self._upstream.send(opcode, payload)

    def _admitted(self, event: Event, payload: bytes, member: str) -> bytes | Problem:
        meter = self._meter
        names = {"model": self._model, "upstream": self._target.spec.model}
        try:
            realtime.client_update(payload, member, **names, cap=meter.cap)
            told = event.response if member == "response" else event.session
            for reference in hosted_references(realtime.members(told), payload):
                lead(self._runtime, self._owner, reference, None)
        except UnreadableRequest as error:
            return error.problem
        if member == "response":
            problem = meter.ask(realtime.read_bound(event.response))
        else:
            problem = meter.widen(realtime.read_bound(event.session))
        if problem is not None:
            return problem
        self._set_cap()
        return realtime.client_update(payload, member, **names, cap=meter.cap)

    def _set_cap(self) -> None:
        """What is reserved for a response must bound it; the answer to our own event is not the client's."""
        cap = self._meter.cap
        if cap is None or cap == self._capped or self._upstream is None:
            return
        self._capped = cap
        self._unseen_updates += 1
        self._upstream.send(TEXT, realtime.bound_event(cap, _BOUND_EVENT, preview=self._preview))

    # From the upstream.

    def _from_upstream(self, opcode: int, payload: bytes, event: Event | None) -> None:
        if event is None:
            self._forward(opcode, payload)
            return
        kind = event.type
        if kind == "response.created":
            self._forward(opcode, payload)
            self._go_on(self._meter.created(realtime.read_response(event.response).id or ""))
        elif kind == "response.done":
            response = realtime.read_response(event.response)
            problem = self._meter.done(response.id or "", realtime.settled_usage(response), response.status or "")
            self._forward(opcode, payload)
            self._go_on(problem)
        elif kind in ("session.created", "session.updated"):
            self._session(opcode, payload, event)
        elif kind == "error":
            self._error(opcode, payload, event)
        else:
            if event.response_id is not None and kind.endswith(".delta"):
                self._meter.first_byte(event.response_id)
            elif kind == _TRANSCRIBED:
                self._meter.aside(Usage(raw=bytes(event.usage)), "the input's transcription is billed apart")
            self._forward(opcode, payload)

    def _session(self, opcode: int, payload: bytes, event: Event) -> None:
        if event.type == "session.updated":
            if self._unseen_updates:
                self._unseen_updates -= 1
                return
            bound = realtime.read_bound(event.session)
            if bound not in (self._meter.bound, self._capped):
                self._go_on(self._meter.rebind(bound))
        self._forward(opcode, realtime.renamed_session(payload, self._model))

    def _error(self, opcode: int, payload: bytes, event: Event) -> None:
        if realtime.refused_event(event.error) == _BOUND_EVENT:
            self._refuse(_UNBOUNDED)
            return
        self._meter.unasked()
        self._forward(opcode, payload)

    def _forward(self, opcode: int, payload: bytes) -> None:
        if self._client is not None:
            self._client.send(opcode, payload)

    # Ends.

    def _go_on(self, problem: Problem | None) -> None:
        """After a response has begun or ended."""
        if problem is not None:
            self._refuse(problem)
        elif self._draining and not self._meter.busy:
            self._leave("the gateway is stopping")
        else:
            self._set_cap()

    def _refuse(self, problem: Problem) -> None:
        """No further response can be paid for, or held to its bound: the session ends, and the upstream with it."""
        self._finish("cut" if self._meter.busy else "ok", problem.message)
        self._tell(problem, None)
        self._close_upstream(NORMAL, "")
        self._close_client(POLICY, problem.bucket or problem.code)

    def _leave(self, reason: str) -> None:
        self._finish("cut" if self._meter.busy else "ok", reason)
        self._close_upstream(NORMAL, "")
        self._close_client(GOING_AWAY, reason)

    def _finish(self, outcome: Outcome, reason: str) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._meter.end(outcome, reason)

    def _tell(self, problem: Problem, about: str | None) -> None:
        self._forward(TEXT, realtime.error_event(problem, f"event_{self._meter.next_id()}", about))

    def _close_client(self, code: int, reason: str) -> None:
        if self._client is not None:
            self._client.close(code, reason)

    def _close_upstream(self, code: int, reason: str) -> None:
        if self._upstream is not None:
            self._upstream.close(code, reason)

    def _watch_idle(self) -> None:
        left = self._last + self._limits.session_idle_timeout - self._loop.time()
        if left <= 0:
            self._leave("no message has passed for too long")
        else:
            self._timers[1] = self._loop.call_later(left, self._watch_idle)

    def _other(self, end: WebSocketEnd) -> WebSocketEnd | None:
        return self._upstream if end is self._client else self._client
