"""OpenAI's Realtime API: what of a session's events the gateway reads, and the few that it writes.

Source: `openai.types.realtime` of the official SDK, https://platform.openai.com/docs/api-reference/realtime. The preview
(`OpenAI-Beta: realtime=v1`, and Azure's paths with an `api-version`) has another shape of sessions and the same responses.
"""

from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.fields import bad_field, present, unsupported_field
from tidegate.dialects.openai.errors import error_object

BOUNDS: Final = ("max_output_tokens", "max_response_output_tokens")
"""The bound on a response's output; the second name is the preview's."""

_encode = msgspec.json.Encoder().encode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class Event(Struct):
    """Of either side. All else of it passes unread."""

    type: str = ""
    event_id: str | None = None
    response_id: str | None = None
    response: Raw = Raw(b"null")
    session: Raw = Raw(b"null")
    error: Raw = Raw(b"null")
    usage: Raw = Raw(b"null")


class Response(Struct):
    id: str | None = None
    status: str | None = None
    usage: Raw = Raw(b"null")
    output: list[Raw] | None = None


class _EventError(Struct):
    event_id: str | None = None


class _Details(Struct):
    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None
    cached_tokens_details: "_Details | None" = None


class _UsageObject(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _Details | None = None
    output_token_details: _Details | None = None


_decode_event = msgspec.json.Decoder(Event).decode
_decode_response = msgspec.json.Decoder(Response).decode
_decode_error = msgspec.json.Decoder(_EventError).decode
_decode_usage = msgspec.json.Decoder(_UsageObject).decode


def view_of(model: str) -> View:
    """Of a session. What a response reads is the whole conversation, which the upstream alone has."""
    return View(
        dialect="openai",
        operation="realtime",
        model=model,
        stream=True,
        fields={},
        body_bytes=0,
        estimated_input_tokens=0,
        worst_input_tokens=0,
        max_output_tokens=None,
        hidden_context=True,
    )


def upstream_path(model: str, base_path: str) -> str:
    return f"{base_path}/realtime?model={quote(model, safe='')}"


def azure_path(model: str, root: str, api_version: str | None) -> str:
    if api_version is None:
        return upstream_path(model, f"{root}/openai/v1")
    return f"{root}/openai/realtime?api-version={quote(api_version, safe='')}&deployment={quote(model, safe='')}"


def read_event(payload: bytes) -> Event | None:
    """None for what is no event: whoever it goes to will say so."""
    try:
        return _decode_event(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_response(raw: Raw) -> Response:
    """Of an event that has one; without an id where it cannot be read."""
    try:
        return _decode_response(raw)
    except (msgspec.DecodeError, RecursionError):
        return Response()


def refused_event(raw: Raw) -> str:
    """The id of the client's event that an `error` is about, or ""."""
    try:
        return _decode_error(raw).event_id or ""
    except (msgspec.DecodeError, RecursionError):
        return ""


def read_bound(raw: Raw) -> int | None:
    """Of a session or a response; None where it sets none (`inf`, null)."""
    fields = members(raw)
    for name in BOUNDS:
        value = present(fields[name]) if name in fields else None
        if value is not None and _is_count(value):
            return int(bytes(value))
    return None


def settled_usage(response: Response) -> Usage:
    """Of a response that is over. One that failed before it had any output, and says nothing of usage, used nothing."""
    if present(response.usage) is not None:
        return usage_of(response.usage)
    if response.status == "failed" and not response.output:
        return Usage(source="reported")
    return Usage()


def usage_of(raw: Raw) -> Usage:
    """The totals include text, audio, images and what was cached of each. A total that is missing makes all unknown."""
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    if told.input_tokens is None or told.output_tokens is None:
        return Usage(raw=bytes(raw))
    inputs = told.input_token_details or _Details()
    outputs = told.output_token_details or _Details()
    cached = inputs.cached_tokens or 0
    cached_of = inputs.cached_tokens_details or _Details()
    cached_audio, cached_image = cached_of.audio_tokens or 0, cached_of.image_tokens or 0
    audio = max(0, (inputs.audio_tokens or 0) - cached_audio)
    image = max(0, (inputs.image_tokens or 0) - cached_image)
    audio_out = outputs.audio_tokens or 0
    return Usage(
        input=max(0, told.input_tokens - cached - audio - image),
        cache_read=max(0, cached - cached_audio - cached_image),
        cache_read_audio=cached_audio,
        cache_read_image=cached_image,
        input_audio=audio,
        input_image=image,
        output=max(0, told.output_tokens - audio_out),
        output_audio=audio_out,
        source="reported",
        raw=bytes(raw),
    )


def error_event(problem: Problem, event_id: str, about: str | None) -> bytes:
    """`about`: the id of the client's event that it refuses."""
    error = {**error_object(problem), "event_id": about}
    return _encode({"type": "error", "event_id": event_id, "error": error})


def bound_event(bound: int, event_id: str, *, preview: bool) -> bytes:
    """A `session.update` that bounds every response whose own event does not."""
    session = {BOUNDS[1]: bound} if preview else {"type": "realtime", BOUNDS[0]: bound}
    return _encode({"type": "session.update", "event_id": event_id, "session": session})


def client_update(payload: bytes, member: str, *, model: str, upstream: str, cap: int | None) -> bytes:
    """A client's `session.update` or `response.create` as it goes upstream; `member`: `session` or `response`.

    The model is the upstream's by its own name. `cap` (under a hard budget) stands in for no bound at all, and what would be
    billed apart is refused. Raises UnreadableRequest.
    """
    event = members(Raw(payload))
    raw = event.get(member)
    fields = {} if raw is None else members(raw)
    if "model" in fields and present(fields["model"]) is not None:
        if bytes(fields["model"]) not in (_encode(model), _encode(upstream)):
            raise bad_field(f"The model of a session cannot be changed: it is `{model}`.", f"{member}.model")
        fields["model"] = Raw(_encode(upstream))
    elif cap is None:
        return payload
    if cap is not None:
        if _transcribes(fields):
            message = (
                "Transcription of the input is billed apart, at a price that is not known here, and this key has a "
                "hard budget. Leave it out."
            )
            raise unsupported_field(f"{member}.audio.input.transcription", message)
        for name in BOUNDS:
            if name in fields and not _is_count(fields[name]):
                fields[name] = Raw(b"%d" % cap)
    if raw is not None:
        event[member] = Raw(_encode(fields))
    return _encode(event)


def renamed_session(payload: bytes, model: str) -> bytes:
    """A server's event with a session, under the model's public name."""
    event = members(Raw(payload))
    session = members(event.get("session", Raw(b"{}")))
    if "model" not in session:
        return payload
    session["model"] = Raw(_encode(model))
    event["session"] = Raw(_encode(session))
    return _encode(event)


def _transcribes(session: dict[str, Raw]) -> bool:
    sound = members(members(session.get("audio", Raw(b"{}"))).get("input", Raw(b"{}")))
    told = (sound.get("transcription"), session.get("input_audio_transcription"))
    return any(raw is not None and present(raw) is not None for raw in told)


def _is_count(raw: Raw) -> bool:
    text = bytes(raw)
    return text.isdigit() and len(text) <= 9


def members(raw: Raw) -> dict[str, Raw]:
    """Of an object; none of what is no object."""
    try:
        return _decode_fields(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
