"""The simulated provider as an application of `wire.server`: reads a call, decides its fate, sends its answer.

Answers are built once and kept by the request's bytes, so that a simulator under load does little more than write.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from tidegate.core.clock import Clock, SystemClock
from tidegate.simulator.anthropic import files as message_files
from tidegate.simulator.anthropic import kept as message_batches
from tidegate.simulator.behaviour import BadProfile, Behaviour, Profile, behaviour_from, profile_from, read_outcome
from tidegate.simulator.calls import Call, CallLog
from tidegate.simulator.control import PREFIX, Control
from tidegate.simulator.delivery import Delivery
from tidegate.simulator.kept import Kept
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.openai import collected, realtime
from tidegate.simulator.openai import kept as files_and_batches
from tidegate.simulator.openai.stored import StoredResponses
from tidegate.simulator.openai.surface import Route as OpenAIRoute
from tidegate.simulator.plan import plan_answer
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.steering import HEADER, split_name, steer
from tidegate.simulator.surface import Moment, Order, Refusal, Route, Surface
from tidegate.simulator.surfaces import SURFACES, find_surface
from tidegate.simulator.template import Reply
from tidegate.simulator.vertex.surface import VertexRoute
from tidegate.simulator.vertex.tokens import PATHS as TOKEN_PATHS
from tidegate.simulator.vertex.tokens import TokenDesk
from tidegate.wire.exchange import Exchange
from tidegate.wire.message import Request, encode_headers

_KEPT_ANSWERS: Final = 1024
_KEPT_BODY_BYTES: Final = 65_536
_JSON: Final = b"content-type: application/json\r\n"

_Key = tuple[bytes, bytes, bytes | None]
"""Target, body, and the header on which the dialect's answers depend too."""


class Answer(Struct):
    """A request that was read once: whose it is and what it gets."""

    state: ModelState
    behaviour: Behaviour
    order: Order
    forced: str
    reply: Reply
    named: bytes
    """Header lines that do not change from call to call."""


class Simulator:
    """Serves a profile. Settable at run time through `profile`'s models (`set_model`) and `/_sim/…`."""

    def __init__(
        self, profile: Profile | None = None, *, loop: asyncio.AbstractEventLoop, clock: Clock | None = None
    ) -> None:
        self.profile = profile_from({}) if profile is None else profile
        self.calls = CallLog()
        self._loop = loop
        self._clock = SystemClock() if clock is None else clock
        self._control = Control(self)
        self.tokens = TokenDesk(self.profile.service_accounts, self.profile.token_seconds)
        self.reset()

    def reset(self) -> None:
        """Back to the profile: forgets calls, windows, caches, run-time changes."""
        self.calls.reset()
        self.models: dict[str, Behaviour] = dict(self.profile.models)
        self._states: dict[str, ModelState] = {}
        self._answers: dict[_Key, Answer] = {}
        self._ids = random.Random(self.profile.seed)
        self.stored = StoredResponses()
        self.kept = Kept(self._clock, self._run_line, self.profile.seed)

    def set_model(self, name: str, behaviour: Behaviour | None) -> None:
        """Adds or changes a model, or takes it away (None). Its windows and script start anew."""
        if behaviour is None:
            self.models.pop(name, None)
        else:
            self.models[name] = behaviour
        self._states.pop(name, None)
        if name == "*":
            self._states.clear()
        self._answers.clear()

    def change_model(self, name: str, **fields: object) -> None:
        """`change_model("gpt-4.1", firstByte="200ms")`: fields as a profile writes them. Raises BadProfile."""
        self.set_model(name, behaviour_from(name, fields, self.models.get(name)))

    # Application of wire.server.

    def on_head(self, request: Request) -> tuple[int, bytes, bytes] | None:
        """Every body is read."""
        return None

    def wire_error(self, request: Request | None, status: int, code: str, message: str) -> tuple[bytes, bytes]:
        """In the shape of the dialect that was meant."""
        return _JSON, find_surface(request).error_body(Rejection(status, message, code=code), request)

    def on_request(self, exchange: Exchange) -> None:
        """A call, or a request to `/_sim/…`."""
        request = exchange.request
        if request.path.startswith(PREFIX):
            exchange.respond(*self._control.answer(request))
            return
        if request.path in TOKEN_PATHS:
            exchange.respond(*self.tokens.answer(request, self._seconds()))
            return
        call = self.calls.open(request, self._clock.now_ns())
        surface = find_surface(request)
        try:
            for one in (message_batches, message_files, files_and_batches, collected):
                if one.serves(request):
                    self._answer_kept(exchange, call, surface, one.answer)
                    return
            if request.method == b"GET" and request.path in realtime.PATHS:
                self._open_session(exchange, call, surface)
                return
            route = surface.find_route(request)
            call.key = surface.read_key(request, route)
            self._check_key(call.key, surface, route)
            if route.operation in ("models", "model"):
                headers = _JSON + surface.call_headers(self._ids, route)
                self._respond(exchange, call, 200, headers, self._models_body(surface, route))
            elif route.operation == "stored":
                headers, body = self.stored.answer(call.key, request, route.name, route.verb)
                self._respond(exchange, call, 200, headers, body)
            else:
                self._serve(exchange, call, surface, route)
        except Rejection as rejection:
            self._reject(exchange, call, rejection, surface)
        except BadProfile as error:
            self._reject(exchange, call, Rejection(400, str(error), code="bad_steering"), surface)

    def _answer_kept(
        self,
        exchange: Exchange,
        call: Call,
        surface: Surface,
        answer: Callable[[Kept, Request, str], tuple[bytes, bytes]],
    ) -> None:
        azure = exchange.request.path.startswith(b"/openai/")
        route = OpenAIRoute("models", azure) if surface is SURFACES[-1] else Route("models")
        call.key = surface.read_key(exchange.request, route)
        self._check_key(call.key, surface, route)
        media, body = answer(self.kept, exchange.request, call.key)
        headers = encode_headers([(b"content-type", media)]) + surface.call_headers(self._ids, route)
        self._respond(exchange, call, 200, headers, body)

    def _run_line(self, path: bytes, body: bytes) -> tuple[int, bytes]:
        """(status, body) of the answer to one line of a batch, at once."""
        headers = [(b"content-type", b"application/json"), (b"anthropic-version", b"2023-06-01")]
        request = Request(b"POST", path, path, b"", "1.1", headers=headers)
        request.body = body
        surface = find_surface(request)
        now_ns = self._clock.now_ns()
        call = Call(0, request, now_ns)
        try:
            answer = self._read(call, request, surface, surface.find_route(request), "")
            outcome = answer.forced or answer.state.outcome(
                answer.behaviour, answer.order.limit_tokens, self._loop.time()
            )
            rejection = answer.state.rejection(outcome)
            if rejection is not None:
                raise rejection
            call.fault = outcome
            reply = self._reply_for(call, answer)
            return 200, reply.body(f"{self._ids.getrandbits(116):029x}", now_ns // 1_000_000_000)
        except Rejection as refused:
            return refused.status, surface.error_body(refused, request)

    def _check_key(self, key: str, surface: Surface, route: Any) -> None:
        outcome = self.profile.keys.get(key)
        if outcome is not None:
            raise Rejection.of_status(*read_outcome("keys", outcome))
        if self.profile.require_key and not key:
            missing = surface.no_key(route)
            if missing is not None:
                raise missing
        if isinstance(route, VertexRoute) and route.project and not self.tokens.holds(key, self._seconds()):
            raise Rejection.of_status(401)

    def _seconds(self) -> int:
        return self._clock.now_ns() // 1_000_000_000

    def _open_session(self, exchange: Exchange, call: Call, surface: Surface) -> None:
        request = exchange.request
        call.key = realtime.read_key(request)
        call.model = realtime.read_model(request)
        route = Route("realtime", call.model)
        self._check_key(call.key, surface, route)
        behaviour = self._behaviour_of(call.model, surface, route)
        if behaviour.task != "realtime":
            raise surface.unknown_model(call.model, route)
        state = self._state_of(call.model, behaviour)
        rejection = state.rejection(state.outcome(behaviour, 0, self._loop.time()))
        if rejection is not None:
            raise rejection
        call.status = 101
        session = realtime.RealtimeSession(
            state,
            behaviour,
            call,
            seed=self.profile.seed,
            ids=self._ids,
            loop=self._loop,
            closed=lambda outcome: self.calls.close(call, outcome, self._clock.now_ns()),
        )
        session.begin(exchange)

    # Models.

    def _models_body(self, surface: Surface, route: Any) -> bytes:
        if route.operation == "models":
            return surface.model_list(self.models, route)
        name = split_name(route.name)[0]
        return surface.model_body(name, self._behaviour_of(name, surface, route), route)

    def _behaviour_of(self, name: str, surface: Surface, route: Any) -> Behaviour:
        behaviour = self.models.get(name) or self.models.get("*")
        if behaviour is None:
            raise surface.unknown_model(name, route)
        return behaviour

    def _state_of(self, name: str, behaviour: Behaviour) -> ModelState:
        state = self._states.get(name)
        if state is None:
            state = self._states[name] = ModelState(name, behaviour, self.profile.seed)
        return state

    # Calls.

    def _serve(self, exchange: Exchange, call: Call, surface: Surface, route: Any) -> None:
        request = exchange.request
        steering = request.header(HEADER)
        varies = surface.VARIES
        key = (request.target, request.body, None if varies is None else request.header(varies))
        answer = self._answers.get(key) if steering is None else None
        if answer is None:
            told = "" if steering is None else steering.decode("latin-1")
            answer = self._read(call, request, surface, route, told)
            if steering is None:
                self._keep(key, answer)
        self.stored.check(call.key, answer.order.needs)
        self.kept.check(call.key, answer.order.needs)
        state, behaviour = answer.state, answer.behaviour
        call.model = state.name
        call.stream = answer.order.stream
        now = self._loop.time()
        try:
            outcome = answer.forced or state.outcome(behaviour, answer.order.limit_tokens, now)
            rejection = state.rejection(outcome)
            if outcome == "error-event" and not call.stream:
                rejection = Rejection.of_status(500)
        except Rejection as limited:
            outcome, rejection = "", limited
        if rejection is not None:
            self._reject_known(exchange, call, rejection, surface, answer, route)
            return
        call.fault = outcome
        self._send(exchange, call, answer, surface, route, now)

    def _send(self, exchange: Exchange, call: Call, answer: Answer, surface: Surface, route: Any, now: float) -> None:
        reply = self._reply_for(call, answer)
        call.prompt_tokens = reply.prompt_tokens
        call.cached_tokens = reply.cached_tokens
        call.completion_tokens = reply.completion_tokens
        created = self._clock.now_ns() // 1_000_000_000
        headers = b"".join(
            (
                answer.named,
                reply.headers,
                surface.call_headers(self._ids, route),
                surface.rate_headers(answer.state, answer.behaviour, Moment(now, created), route),
            )
        )
        answer_id = f"{self._ids.getrandbits(116):029x}"
        if answer.order.keeps is not None:
            self.stored.keep(call.key, answer.order.keeps, self._setting(reply.model, True, 0), answer_id, created)
        plan = plan_answer(reply, answer.behaviour, call.fault, headers=headers, answer_id=answer_id, created=created)
        delivery = Delivery(
            exchange,
            plan,
            answer.behaviour,
            answer.state.rng,
            call=call,
            log=self.calls,
            loop=self._loop,
            clock=self._clock,
        )
        delivery.begin(reply.completion_tokens)

    def _read(self, call: Call, request: Request, surface: Surface, route: Any, steering: str) -> Answer:
        fields = surface.read_body(request)
        name, suffix = split_name(surface.read_model(fields, route))
        call.model = name
        base = self._behaviour_of(name, surface, route)
        behaviour, forced = steer(name, base, suffix, surface.read_steering(fields), steering)
        order = surface.take_order(fields, route, name, behaviour)
        state = self._state_of(name, base)
        reply = order.build(self._setting(name, behaviour.usage, 0))
        fixed = [(b"content-type", reply.content_type), *surface.fixed_headers(name, route)]
        return Answer(state, behaviour, order, forced, reply, encode_headers(fixed))

    def _reply_for(self, call: Call, answer: Answer) -> Reply:
        """The answer's kept reply, or another if the cache or a fault changes the usage it tells."""
        usage = answer.behaviour.usage and call.fault != "no-usage"
        cached = 0
        if answer.behaviour.prompt_cache:
            cached = answer.state.cached_tokens(answer.order.prompt, answer.order.prompt_tokens)
        reply = answer.reply
        if usage == answer.behaviour.usage and cached == reply.cached_tokens:
            return reply
        rebuilt = answer.order.build(self._setting(reply.model, usage, cached))
        if usage == answer.behaviour.usage:
            answer.reply = rebuilt
        return rebuilt

    def _setting(self, name: str, usage: bool, cached: int) -> Setting:
        return Setting(seed=self.profile.seed, model=name, cached_tokens=cached, usage=usage)

    def _keep(self, key: _Key, answer: Answer) -> None:
        if len(key[1]) > _KEPT_BODY_BYTES:
            return
        if len(self._answers) >= _KEPT_ANSWERS:
            self._answers.clear()
        self._answers[key] = answer

    # Short answers.

    def _reject(self, exchange: Exchange, call: Call, rejection: Rejection, surface: Surface) -> None:
        headers, body = surface.refuse(rejection, exchange.request, Refusal(self._ids))
        self._respond(exchange, call, rejection.status, headers, body)

    def _reject_known(
        self, exchange: Exchange, call: Call, rejection: Rejection, surface: Surface, answer: Answer, route: Any
    ) -> None:
        """Where model and behaviour are known, and so what is left of its limits."""
        now = self._loop.time()
        moment = Moment(now, self._clock.now_ns() // 1_000_000_000)
        rates = surface.rate_headers(answer.state, answer.behaviour, moment, route)
        wait = answer.state.retry_after(answer.behaviour, rejection.status, now)
        headers, body = surface.refuse(rejection, exchange.request, Refusal(self._ids, wait, rates))
        self._respond(exchange, call, rejection.status, headers, body)

    def _respond(self, exchange: Exchange, call: Call, status: int, headers: bytes, body: bytes) -> None:
        call.status = status
        exchange.respond(status, headers, body)
        self.calls.close(call, "completed", self._clock.now_ns())
