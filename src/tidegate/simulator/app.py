"""The simulated provider as an application of `wire.server`: reads a call, decides its fate, sends its answer.

Answers are built once and kept by the request's bytes, so that a simulator under load does little more than write.
"""

import asyncio
import math
import random
from typing import Final

from msgspec import Struct

from tidegate.core.clock import Clock, SystemClock
from tidegate.simulator.behaviour import BadProfile, Behaviour, Profile, behaviour_from, profile_from
from tidegate.simulator.calls import Call, CallLog
from tidegate.simulator.control import PREFIX, Control
from tidegate.simulator.delivery import Delivery
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.openai import surface
from tidegate.simulator.openai.rejection import Rejection
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.plan import plan_answer
from tidegate.simulator.steering import HEADER, METADATA, split_name, steer
from tidegate.simulator.template import Template
from tidegate.wire.exchange import Exchange
from tidegate.wire.message import Request, encode_headers

_KEPT_ANSWERS: Final = 1024
_KEPT_BODY_BYTES: Final = 65_536
_JSON: Final = b"content-type: application/json\r\n"


class Answer(Struct):
    """A request that was read once: whose it is and what it gets."""

    state: ModelState
    behaviour: Behaviour
    order: surface.Order
    forced: str
    template: Template
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
        self.reset()

    def reset(self) -> None:
        """Back to the profile: forgets calls, windows, caches, run-time changes."""
        self.calls.reset()
        self.models: dict[str, Behaviour] = dict(self.profile.models)
        self._states: dict[str, ModelState] = {}
        self._answers: dict[tuple[bytes, bytes], Answer] = {}
        self._ids = random.Random(self.profile.seed)

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
        """In OpenAI's shape."""
        return _JSON, Rejection(status, message, code=code).body()

    def on_request(self, exchange: Exchange) -> None:
        """A call, or a request to `/_sim/…`."""
        request = exchange.request
        if request.path.startswith(PREFIX):
            exchange.respond(*self._control.answer(request))
            return
        call = self.calls.open(request, self._clock.now_ns())
        azure = request.path.startswith(b"/openai/")
        try:
            route = surface.find_route(request)
            call.key = surface.read_key(request, route)
            surface.check_key(call.key, self.profile.keys, self.profile.require_key, route)
            if route.operation in ("models", "model"):
                self._respond(exchange, call, 200, self._headers_of_lists(), self._models_body(route))
            else:
                self._serve(exchange, call, route)
        except Rejection as rejection:
            self._reject(exchange, call, rejection, azure)
        except BadProfile as error:
            self._reject(exchange, call, Rejection(400, str(error), code="bad_steering"), azure)

    # Models.

    def _models_body(self, route: surface.Route) -> bytes:
        if route.operation == "models":
            return surface.model_list(self.models)
        name = split_name(route.name)[0]
        behaviour = self._behaviour_of(name, route.azure)
        return surface.model_body(name, behaviour)

    def _behaviour_of(self, name: str, azure: bool) -> Behaviour:
        behaviour = self.models.get(name) or self.models.get("*")
        if behaviour is None:
            raise surface.unknown_model(name, azure)
        return behaviour

    def _state_of(self, name: str, behaviour: Behaviour) -> ModelState:
        state = self._states.get(name)
        if state is None:
            state = self._states[name] = ModelState(name, behaviour, self.profile.seed)
        return state

    # Calls.

    def _serve(self, exchange: Exchange, call: Call, route: surface.Route) -> None:
        request = exchange.request
        steering = request.header(HEADER)
        key = (request.target, request.body)
        answer = self._answers.get(key) if steering is None else None
        if answer is None:
            answer = self._read(call, request, route, "" if steering is None else steering.decode("latin-1"))
            if steering is None:
                self._keep(key, answer)
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
            self._reject(exchange, call, rejection, route.azure, answer)
            return
        call.fault = outcome
        self._send(exchange, call, answer, route, now)

    def _send(self, exchange: Exchange, call: Call, answer: Answer, route: surface.Route, now: float) -> None:
        template = self._template_for(call, answer, route)
        call.prompt_tokens = template.prompt_tokens
        call.cached_tokens = template.cached_tokens
        call.completion_tokens = template.completion_tokens
        headers = b"".join(
            (
                answer.named,
                b"x-request-id: req_%032x\r\n" % self._ids.getrandbits(128),
                b"apim-request-id: %032x\r\n" % self._ids.getrandbits(128) if route.azure else b"",
                answer.state.rate_headers(answer.behaviour, now, route.azure),
            )
        )
        answer_id = f"{self._ids.getrandbits(116):029x}"
        created = self._clock.now_ns() // 1_000_000_000
        plan = plan_answer(
            template, answer.behaviour, call.fault, headers=headers, answer_id=answer_id, created=created
        )
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
        delivery.begin(template.completion_tokens)

    def _read(self, call: Call, request: Request, route: surface.Route, steering: str) -> Answer:
        fields = surface.read_body(request)
        name, suffix = split_name(surface.read_model(fields, route))
        call.model = name
        base = self._behaviour_of(name, route.azure)
        metadata = fields.get("metadata")
        told = metadata.get(METADATA) if isinstance(metadata, dict) else None
        behaviour, forced = steer(name, base, suffix, told if isinstance(told, str) else "", steering)
        order = surface.read_order(fields, route.task, name, behaviour)
        state = self._state_of(name, base)
        template = order.build(self._setting(name, route, behaviour.usage, 0))
        fixed = [(b"content-type", template.content_type), *surface.fixed_headers(name, route)]
        return Answer(state, behaviour, order, forced, template, encode_headers(fixed))

    def _template_for(self, call: Call, answer: Answer, route: surface.Route) -> Template:
        """The answer's kept template, or another if the cache or a fault changes the usage it tells."""
        usage = answer.behaviour.usage and call.fault != "no-usage"
        cached = 0
        if answer.behaviour.prompt_cache:
            cached = answer.state.cached_tokens(answer.order.prompt, answer.order.prompt_tokens)
        template = answer.template
        if usage == answer.behaviour.usage and cached == template.cached_tokens:
            return template
        rebuilt = answer.order.build(self._setting(template.model, route, usage, cached))
        if usage == answer.behaviour.usage:
            answer.template = rebuilt
        return rebuilt

    def _setting(self, name: str, route: surface.Route, usage: bool, cached: int) -> Setting:
        return Setting(seed=self.profile.seed, model=name, cached_tokens=cached, usage=usage, azure=route.azure)

    def _keep(self, key: tuple[bytes, bytes], answer: Answer) -> None:
        if len(key[1]) > _KEPT_BODY_BYTES:
            return
        if len(self._answers) >= _KEPT_ANSWERS:
            self._answers.clear()
        self._answers[key] = answer

    # Short answers.

    def _headers_of_lists(self) -> bytes:
        return b"%bx-request-id: req_%032x\r\n" % (_JSON, self._ids.getrandbits(128))

    def _reject(
        self, exchange: Exchange, call: Call, rejection: Rejection, azure: bool, answer: Answer | None = None
    ) -> None:
        fields = [(b"content-type", b"application/json"), (b"x-request-id", b"req_%032x" % self._ids.getrandbits(128))]
        headers = b""
        if answer is not None:
            now = self._loop.time()
            headers = answer.state.rate_headers(answer.behaviour, now, azure)
            wait = answer.state.retry_after(answer.behaviour, rejection.status, now)
            if rejection.code == "insufficient_quota":
                fields.append((b"x-should-retry", b"false"))
            elif wait is not None:
                fields.append((b"retry-after", b"%d" % math.ceil(wait)))
                fields.append((b"retry-after-ms", b"%d" % math.ceil(wait * 1000)))
        self._respond(exchange, call, rejection.status, encode_headers(fields) + headers, rejection.body(azure))

    def _respond(self, exchange: Exchange, call: Call, status: int, headers: bytes, body: bytes) -> None:
        call.status = status
        exchange.respond(status, headers, body)
        self.calls.close(call, "completed", self._clock.now_ns())
