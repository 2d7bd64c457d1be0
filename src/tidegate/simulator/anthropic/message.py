"""Encodes messages: whole answers and streams of events, as Anthropic sends them."""

from typing import Any, Final

import msgspec

from tidegate.simulator.anthropic.blocks import DIALECT, REDACTED
from tidegate.simulator.anthropic.message_request import MessageRequest
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Choice, compose, generator
from tidegate.simulator.invention import split_tokens
from tidegate.simulator.setting import Setting
from tidegate.simulator.signatures import sign
from tidegate.simulator.template import ID, Flaws, Mould

_encode = msgspec.json.encode

_LEAST_CACHED: Final = 1024
_BLOCK_TOKENS: Final = 128
_FLAWS: Final = Flaws(
    error_event=b'event: error\ndata: {"type":"error","error":{"details":null,"type":"overloaded_error",'
    b'"message":"Overloaded"},"request_id":null}\n\n',
    broken_event=b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"te\n\n',
)
_STOP_REASONS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "refusal": "refusal"}
_MAGIC_REDACTED: Final = b"ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING"
"""In a prompt: the thoughts come redacted. The beginning of the string that the provider documents for tests."""


def message_reply(request: MessageRequest, behaviour: Behaviour, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    rng = generator(setting.seed, setting.model, request.prompt)
    choice = compose(request, behaviour, rng)
    blocks = _blocks(request, choice, rng)
    usage = _usage(request, behaviour, setting, choice)
    if request.stream:
        pieces, repeated = _events(blocks, choice, usage, setting, behaviour)
        mould = Mould(model=setting.model, pieces=pieces, flaws=_FLAWS, stream=True, repeated=repeated)
    else:
        body = _encode({**_message(setting, blocks), **_ending(choice), **_told(setting, usage)})
        mould = Mould(model=setting.model, pieces=[body], flaws=_FLAWS)
    mould.prompt_tokens = request.prompt_tokens
    mould.cached_tokens = setting.cached_tokens
    mould.completion_tokens = choice.completion_tokens
    return mould


def count_reply(request: MessageRequest, setting: Setting) -> Mould:
    """Of `count_tokens`."""
    return Mould(model=setting.model, pieces=[_encode({"input_tokens": request.prompt_tokens})], flaws=_FLAWS)


def _message(setting: Setting, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"model": setting.model, "id": f"msg_{ID}", "type": "message", "role": "assistant", "content": content}


def _told(setting: Setting, usage: dict[str, Any]) -> dict[str, Any]:
    return {"usage": usage} if setting.usage else {}


def _ending(choice: Choice) -> dict[str, Any]:
    reason = _STOP_REASONS[choice.finish]
    details = None
    if choice.finish == "refusal":
        details = {"type": "refusal", "category": None, "explanation": "The simulator was told to decline."}
    if choice.stop_sequence is not None:
        reason = "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": choice.stop_sequence, "stop_details": details}


def _blocks(request: MessageRequest, choice: Choice, rng: Any) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if choice.thoughts and _MAGIC_REDACTED in request.prompt:
        blocks.append({"type": "redacted_thinking", "data": sign(DIALECT, REDACTED, rng)})
    elif choice.thoughts:
        shown = "".join(choice.thoughts) if request.shows_thoughts else ""
        blocks.append({"type": "thinking", "thinking": shown, "signature": sign(DIALECT, shown, rng)})
    if choice.tokens:
        blocks.append({"type": "text", "text": choice.text})
    blocks.extend(
        {
            "type": "tool_use",
            "id": f"toolu_{call.digits}",
            "name": call.tool.name,
            "input": msgspec.json.decode(call.arguments),
        }
        for call in choice.calls
    )
    return blocks


def _usage(request: MessageRequest, behaviour: Behaviour, setting: Setting, choice: Choice) -> dict[str, Any]:
    """What was read from the cache and what was written to it is not part of `input_tokens`."""
    read, written = setting.cached_tokens, 0
    if behaviour.prompt_cache and request.cacheable_tokens >= _LEAST_CACHED:
        written = request.cacheable_tokens - read
        if written < _BLOCK_TOKENS:  # the cache knows whole blocks only; the rest of the prefix is as good as known
            read, written = request.cacheable_tokens, 0
    by_ttl = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    if written:
        by_ttl[f"ephemeral_{request.cache_ttl}_input_tokens"] = written
    return {
        "input_tokens": request.prompt_tokens - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": by_ttl,
        "output_tokens": choice.completion_tokens,
        "output_tokens_details": {"thinking_tokens": choice.reasoning_tokens},
        "service_tier": "standard",
        "inference_geo": "not_available",
    }


def _events(
    blocks: list[dict[str, Any]], choice: Choice, usage: dict[str, Any], setting: Setting, behaviour: Behaviour
) -> tuple[list[bytes], int]:
    """→ the framed events, and which of them is a delta."""
    begun = {**usage, "output_tokens": 1 if choice.completion_tokens else 0}
    del begun["output_tokens_details"]
    message = {**_message(setting, []), "stop_reason": None, "stop_sequence": None, "stop_details": None}
    events = [_event("message_start", message={**message, **_told(setting, begun)})]
    for index, block in enumerate(blocks):
        opening, deltas = _deltas(block, behaviour)
        events.append(_event("content_block_start", index=index, content_block=opening))
        if index == 0:
            events.append(_event("ping"))
        events.extend(_event("content_block_delta", index=index, delta=delta) for delta in deltas)
        events.append(_event("content_block_stop", index=index))
    ended = {name: usage[name] for name in usage if name not in ("service_tier", "inference_geo", "cache_creation")}
    events.append(_event("message_delta", delta=_ending(choice), **_told(setting, ended)))
    events.append(_event("message_stop"))
    delta = next((at for at, event in enumerate(events) if event.startswith(b"event: content_block_delta")), 1)
    return events, delta


def _deltas(block: dict[str, Any], behaviour: Behaviour) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """→ the block as it opens, and what is added to it."""
    size = max(1, behaviour.tokens_per_event)
    match block["type"]:
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": part} for part in _parts(block["thinking"], size)]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case "text":
            return {"type": "text", "text": ""}, [
                {"type": "text_delta", "text": part} for part in _parts(block["text"], size)
            ]
        case "tool_use":
            parts = ["", *_parts(_encode(block["input"]).decode(), size)]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]
    return block, []


def _parts(text: str, size: int) -> list[str]:
    tokens = split_tokens(text)
    return ["".join(tokens[start : start + size]) for start in range(0, len(tokens), size)]


def _event(name: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode({"type": name, **fields}))
