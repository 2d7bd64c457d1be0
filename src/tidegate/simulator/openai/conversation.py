"""A realtime conversation as OpenAI holds it: client events in, server events out. Pure: no time, no sockets.

Source: `openai.types.realtime`. Speech ends where sound is followed by silence; ten tokens are a second of it.
"""

import base64
import binascii
import random
from collections.abc import Iterator
from typing import Any, Final, cast

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.invention import estimate_tokens, invent_tokens, split_tokens
from tidegate.simulator.rejection import Rejection

Event = dict[str, Any]

_AUDIO_TOKEN_BYTES: Final = 4_800
_AUDIO_PER_TEXT: Final = 2
_MOST_OUTPUT: Final = 4_096
_SESSION_FIELDS: Final = frozenset(
    "type model instructions tools tool_choice audio include max_output_tokens output_modalities tracing truncation prompt "
    "reasoning parallel_tool_calls".split()
)
_RESPONSE_FIELDS: Final = frozenset(
    "audio conversation input instructions max_output_tokens metadata output_modalities prompt tool_choice tools "
    "reasoning parallel_tool_calls".split()
)


class Conversation:
    """`take` and `go_on` give the events to send; while `answering`, `go_on` has more."""

    def __init__(self, model: str, behaviour: Behaviour, rng: random.Random, ids: random.Random) -> None:
        self._model = model
        self._behaviour = behaviour
        self._rng = rng
        self._ids = ids
        self._session: Event = {
            "type": "realtime",
            "object": "realtime.session",
            "id": self._id("sess"),
            "model": model,
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": True}}},
        }
        self._items: dict[str, tuple[Event, int, int]] = {}
        """By id: the item, its tokens of text and of audio."""
        self._sound = b""
        self._heard = (0, 0)
        """What the response before has read, of text and of audio: cached by now."""
        self._response: Iterator[Event] | None = None
        self._running: Event = {}
        self.used: list[Event] = []
        """The usage of each response so far."""

    @property
    def answering(self) -> bool:
        return self._response is not None

    def opened(self) -> Event:
        return self._event("session.created", session=self._session)

    def take(self, event: Event) -> list[Event]:
        """What a client's event brings about at once."""
        about = event.get("event_id")
        try:
            return self._take(event)
        except Rejection as error:
            told = {"type": error.kind, "code": error.code or None, "message": error.message, "param": error.param}
            return [self._event("error", error={**told, "event_id": about})]

    def go_on(self) -> Event | None:
        """The next event of the response under way; None once it is over."""
        event = None if self._response is None else next(self._response, None)
        if event is None:
            self._response = None
        return event

    def fail(self) -> Event:
        """The response under way ends in an error of the model."""
        self._response = None
        self._running.update(status="failed", output=[], usage=None)
        self._running["status_details"] = {"type": "failed", "error": {"type": "server_error", "code": "server_error"}}
        return self._event("response.done", response=self._running)

    # Client events.

    def _take(self, event: Event) -> list[Event]:
        match event.get("type"):
            case "session.update":
                return [self._update(event.get("session"))]
            case "conversation.item.create":
                return self._add(event.get("item"))
            case "conversation.item.delete":
                name = str(event.get("item_id"))
                if self._items.pop(name, None) is None:
                    raise Rejection(400, f"Item with item_id not found: {name}", code="item_delete_invalid_item_id")
                return [self._event("conversation.item.deleted", item_id=name)]
            case "input_audio_buffer.append":
                return self._hear(event.get("audio"))
            case "input_audio_buffer.clear":
                self._sound = b""
                return [self._event("input_audio_buffer.cleared")]
            case "input_audio_buffer.commit":
                return self._commit()
            case "response.create":
                return self._answer(event.get("response") or {})
            case "response.cancel":
                if not self.answering:
                    raise Rejection(
                        400, "Cancellation failed: no active response found", code="response_cancel_not_active"
                    )
                return [self._ended("cancelled", {"type": "cancelled", "reason": "client_cancelled"}, 0, "")]
        raise Rejection(400, f"Invalid value: '{event.get('type')}'.", param="type", code="invalid_value")

    def _update(self, session: object) -> Event:
        fields = self._known(session, "session", _SESSION_FIELDS)
        if fields.get("type") != "realtime":
            raise Rejection(
                400,
                "Missing required parameter: 'session.type'.",
                param="session.type",
                code="missing_required_parameter",
            )
        if fields.get("model", self._model) != self._model:
            raise Rejection(400, "Cannot update a conversation's model.", param="session.model", code="invalid_value")
        self._bound(fields, "session")
        self._session.update(fields)
        return self._event("session.updated", session=self._session)

    def _add(self, item: object) -> list[Event]:
        fields = cast(Event, item) if isinstance(item, dict) else {}
        if fields.get("type") not in ("message", "function_call", "function_call_output"):
            raise Rejection(400, "Invalid value for 'item.type'.", param="item.type", code="invalid_value")
        text = "".join(str(part.get("text", "")) for part in fields.get("content", [])) + str(fields.get("output", ""))
        return self._added({"id": self._id("item"), **fields}, estimate_tokens(text.encode()), 0)

    def _hear(self, audio: object) -> list[Event]:
        try:
            sound = base64.b64decode(str(audio), validate=True)
        except (binascii.Error, ValueError):
            raise Rejection(400, "Invalid 'audio'. Expected base64.", param="audio", code="invalid_value") from None
        spoken = bool(self._sound.strip(b"\0"))
        self._sound += sound
        detection = self._session["audio"].get("input", {}).get("turn_detection")
        if not spoken or sound.strip(b"\0") or not detection:
            return []
        stopped = self._event("input_audio_buffer.speech_stopped", audio_end_ms=len(self._sound) // 48, item_id="")
        return [stopped, *self._commit(), *(self._answer({}) if detection.get("create_response", True) else [])]

    def _commit(self) -> list[Event]:
        tokens, self._sound = len(self._sound) // _AUDIO_TOKEN_BYTES, b""
        if not tokens:
            message = "Error committing input audio buffer: buffer too small."
            raise Rejection(400, message, code="input_audio_buffer_commit_empty")
        item = {"id": self._id("item"), "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
        return [self._event("input_audio_buffer.committed", item_id=item["id"]), *self._added(item, 0, tokens)]

    def _added(self, item: Event, text: int, audio: int) -> list[Event]:
        item = {"object": "realtime.item", "status": "completed", **item}
        self._items[str(item["id"])] = item, text, audio
        return [self._event("conversation.item.added", item=item), self._event("conversation.item.done", item=item)]

    # Responses.

    def _answer(self, asked: Event) -> list[Event]:
        if self.answering:
            message = "Conversation already has an active response in progress. Wait until it is finished."
            raise Rejection(400, message, code="conversation_already_has_active_response")
        fields = self._known(asked, "response", _RESPONSE_FIELDS)
        self._bound(fields, "response")
        bound = fields.get("max_output_tokens", self._session["max_output_tokens"])
        modalities = fields.get("output_modalities", self._session["output_modalities"])
        self._running = {
            "object": "realtime.response",
            "id": self._id("resp"),
            "status": "in_progress",
            "output": [],
            "conversation_id": "conv_1",
            "output_modalities": modalities,
            "max_output_tokens": bound,
            "usage": None,
        }
        self._response = self._spoken(modalities == ["audio"], _MOST_OUTPUT if bound == "inf" else int(bound))
        return [self._event("response.created", response=dict(self._running))]

    def _spoken(self, audio: bool, bound: int) -> Iterator[Event]:
        most = max(1, bound // (1 + _AUDIO_PER_TEXT) if audio else bound)
        behaviour = self._behaviour
        whole = (
            split_tokens(behaviour.text)
            if behaviour.text is not None
            else invent_tokens(self._rng, round(behaviour.tokens.draw(self._rng)))
        )
        tokens = whole[:most]
        item = {"id": self._id("item"), "object": "realtime.item", "type": "message", "role": "assistant"}
        begun = {**item, "status": "in_progress", "content": []}
        at = {"response_id": self._running["id"], "item_id": item["id"], "output_index": 0, "content_index": 0}
        kind, member = ("output_audio", "transcript") if audio else ("output_text", "text")
        name = "output_audio_transcript" if audio else "output_text"
        yield self._event("response.output_item.added", item=begun, response_id=at["response_id"], output_index=0)
        yield self._event("conversation.item.added", item=begun)
        part = {"type": kind.removeprefix("output_"), member: ""}
        yield self._event("response.content_part.added", part=part, **at)
        for count, token in enumerate(tokens, 1):
            self._running["spoken"] = count
            yield self._event(f"response.{name}.delta", delta=token, **at)
            if audio:
                yield self._event("response.output_audio.delta", delta="AAAA", **at)
        text = "".join(tokens)
        yield self._event(f"response.{name}.done", **{member: text}, **at)
        if audio:
            yield self._event("response.output_audio.done", **at)
        yield self._event("response.content_part.done", part={**part, member: text}, **at)
        done = {**item, "status": "completed", "content": [{"type": kind, member: text}]}
        yield self._event("response.output_item.done", item=done, response_id=at["response_id"], output_index=0)
        cut = len(tokens) < len(whole)
        details = {"type": "incomplete", "reason": "max_output_tokens"} if cut else {"type": "completed"}
        yield self._ended("incomplete" if cut else "completed", details, len(tokens), text, done)

    def _ended(self, status: str, details: Event, count: int, text: str, item: Event | None = None) -> Event:
        running = self._running
        self._response = None
        count = count or int(running.get("spoken", 0))
        running.pop("spoken", None)
        audio = count * _AUDIO_PER_TEXT if running["output_modalities"] == ["audio"] else 0
        running.update(status=status, status_details=details, output=[] if item is None else [item])
        running["usage"] = self._usage(count, audio) if self._behaviour.usage else None
        if item is not None:
            self._items[str(item["id"])] = item, count, audio
        return self._event("response.done", response=running)

    def _usage(self, text_out: int, audio_out: int) -> Event:
        instructions = estimate_tokens(str(self._session.get("instructions", "")).encode())
        text = instructions + sum(one[1] for one in self._items.values())
        audio = sum(one[2] for one in self._items.values())
        cached_text, cached_audio = min(self._heard[0], text), min(self._heard[1], audio)
        self._heard = text, audio
        usage = {
            "total_tokens": text + audio + text_out + audio_out,
            "input_tokens": text + audio,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text,
                "audio_tokens": audio,
                "image_tokens": 0,
                "cached_tokens": cached_text + cached_audio,
                "cached_tokens_details": {"text_tokens": cached_text, "audio_tokens": cached_audio, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }
        self.used.append(usage)
        return usage

    # Parts.

    def _known(self, value: object, at: str, names: frozenset[str]) -> Event:
        if not isinstance(value, dict):
            raise Rejection(400, f"Missing required parameter: '{at}'.", param=at, code="missing_required_parameter")
        for name in cast(Event, value):
            if name not in names:
                path = f"{at}.{name}"
                raise Rejection(400, f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")
        return cast(Event, value)

    def _bound(self, fields: Event, at: str) -> None:
        bound = fields.get("max_output_tokens", "inf")
        if bound != "inf" and not (isinstance(bound, int) and 1 <= bound <= _MOST_OUTPUT):
            path = f"{at}.max_output_tokens"
            raise Rejection(400, f"Invalid '{path}': 1 to {_MOST_OUTPUT} or 'inf'.", param=path, code="invalid_value")

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._ids.getrandbits(80):020x}"

    def _event(self, kind: str, **fields: Any) -> Event:
        return {"type": kind, "event_id": self._id("event"), **fields}
