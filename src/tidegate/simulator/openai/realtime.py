"""OpenAI's Realtime API over WebSocket: opens sessions, sends what a Conversation says, and goes wrong as it is told to."""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import parse_qs

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.calls import Call
from tidegate.simulator.model_state import ModelState
from tidegate.simulator.openai.conversation import Conversation, Event
from tidegate.simulator.rejection import Rejection
from tidegate.wire.exchange import Exchange
from tidegate.wire.message import Request
from tidegate.wire.websocket import NORMAL, TEXT, accept_of, is_key
from tidegate.wire.websocket_end import WebSocketEnd

PATHS: Final = frozenset((b"/v1/realtime", b"/openai/v1/realtime", b"/openai/realtime"))
_KEY_PROTOCOL: Final = "openai-insecure-api-key."
_MAX_MESSAGE: Final = 16 * 1024 * 1024
_KEPT_BYTES: Final = 32_768


def read_model(request: Request) -> str:
    """Raises Rejection where this is no opening of a session."""
    key = request.header(b"sec-websocket-key") or b""
    if (request.header(b"upgrade") or b"").lower() != b"websocket" or not is_key(key):
        raise Rejection(400, "You must use a WebSocket client to connect to this endpoint.")
    query = parse_qs(request.query.decode("latin-1"))
    name = (query.get("model") or query.get("deployment") or [""])[0]
    if not name:
        raise Rejection(400, "You must provide a model parameter.", param="model", code="missing_model")
    return name


def read_key(request: Request) -> str:
    bearer = (request.header(b"authorization") or b"").decode("latin-1")
    offered = (request.header(b"sec-websocket-protocol") or b"").decode("latin-1").split(",")
    inside = [one.strip().removeprefix(_KEY_PROTOCOL) for one in offered if one.strip().startswith(_KEY_PROTOCOL)]
    told = (request.header(b"api-key") or b"").decode("latin-1")
    return bearer.removeprefix("Bearer ") or told or (inside[0] if inside else "")


class RealtimeSession:
    """Owner of its WebSocket."""

    def __init__(
        self,
        state: ModelState,
        behaviour: Behaviour,
        call: Call,
        *,
        seed: int,
        ids: random.Random,
        loop: asyncio.AbstractEventLoop,
        closed: Callable[[str], None],
    ) -> None:
        self._state = state
        self._behaviour = behaviour
        self._call = call
        self._loop = loop
        self._closed = closed
        self._conversation = Conversation(state.name, behaviour, random.Random(f"{seed}/{state.name}"), ids)
        self._end: WebSocketEnd | None = None
        self._fault = ""
        self._sent = 0
        self._pumping = False
        self._held = False

    def begin(self, exchange: Exchange) -> None:
        request = exchange.request
        accept = accept_of(request.header(b"sec-websocket-key") or b"")
        offered = (request.header(b"sec-websocket-protocol") or b"").replace(b" ", b"").split(b",")
        protocol = b"sec-websocket-protocol: realtime\r\n" if b"realtime" in offered else b""
        link = exchange.upgrade(b"upgrade: websocket\r\nsec-websocket-accept: " + accept + b"\r\n" + protocol)
        self._end = WebSocketEnd(
            link, self, loop=self._loop, is_client=False, max_bytes=_MAX_MESSAGE, stall_timeout=600
        )
        self._send(self._conversation.opened())
        self._end.begin()

    def on_message(self, end: WebSocketEnd, opcode: int, payload: bytes) -> None:
        if len(self._call.body) < _KEPT_BYTES:
            self._call.body += payload + b"\n"
        try:
            event: object = json.loads(payload)
        except ValueError:
            event = None
        for told in self._conversation.take(cast(Event, event) if isinstance(event, dict) else {}):
            if told["type"] == "response.created":
                self._fault = self._state.outcome(self._behaviour, 0, self._loop.time())
                self._sent = 0
            self._send(told)
        if not self._pumping:
            self._pump()

    def on_closed(self, end: WebSocketEnd, code: int, reason: str) -> None:
        self._closed("completed" if code == NORMAL else "disconnected")
        for usage in self._conversation.used:
            self._call.prompt_tokens += usage["input_tokens"]
            self._call.cached_tokens += usage["input_token_details"]["cached_tokens"]
            self._call.completion_tokens += usage["output_tokens"]

    def on_pause(self, end: WebSocketEnd) -> None:
        self._held = True

    def on_resume(self, end: WebSocketEnd) -> None:
        self._held = False
        if not self._pumping:
            self._pump()

    def on_drain(self, end: WebSocketEnd) -> None:
        end.close(1001)

    def _pump(self) -> None:
        """Sends the response under way, an event a turn, or at the pace of `perToken`."""
        self._pumping = False
        if self._end is None or self._end.closing or self._held or not self._conversation.answering:
            return
        if self._sent == 5 and self._fault and self._broken(self._end):
            return
        event = self._conversation.go_on()
        if event is None:
            return
        self._sent += 1
        if event["type"] == "response.done" and self._fault == "no-usage":
            event["response"]["usage"] = None
        self._send(event)
        self._pumping = True
        pause = self._behaviour.per_token.draw(self._state.rng)
        self._loop.call_later(pause, self._pump)

    def _broken(self, end: WebSocketEnd) -> bool:
        match self._fault:
            case "stall-mid-answer":
                return True
            case "reset-mid-answer":
                end.abort()
                return True
            case "cut-clean":
                end.close(NORMAL)
                return True
            case "error-event":
                self._send(self._conversation.fail())
                return True
        return False

    def _send(self, event: dict[str, Any]) -> None:
        if self._end is not None:
            self._call.events_sent += 1
            self._end.send(TEXT, json.dumps(event, ensure_ascii=False).encode())
