"""A whole message, from an upstream to the hub and from the hub to a client.

Source: `anthropic.types.message` and `content_block` of the official SDK.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.anthropic.thoughts import ORIGIN, call_seal, thought_blocks
from tidegate.dialects.anthropic.usage import cache_creation, usage_object, usage_of
from tidegate.dialects.canon import (
    Answer,
    Citation,
    Finish,
    FinishReason,
    Message,
    OutputItem,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.dialects.fields import NULL, present

Json = dict[str, Any]


class CitationObject(Struct):
    type: str
    url: str | None = None
    source: str | None = None
    title: str | None = None
    cited_text: str | None = None


class Block(Struct):
    """Any block of an answer; those of hosted tools are passed over."""

    type: str
    text: str | None = None
    citations: list[CitationObject] | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = NULL


class StopDetails(Struct):
    category: str | None = None
    explanation: str | None = None


class _TierOf(Struct):
    service_tier: str | None = None


class _Body(Struct):
    content: list[Block]
    id: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: Raw = NULL


_FINISH: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STOP_REASON: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_TIER_IN: Final = {"standard": "default", "priority": "priority"}
_TIER_OUT: Final = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}
NO_ARGUMENTS: Final = "{}"

_decode = msgspec.json.Decoder(_Body).decode
_decode_tier = msgspec.json.Decoder(_TierOf).decode


def decode_answer(body: bytes) -> Answer:
    """Raises UnreadableAnswer."""
    try:
        told = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"the answer is not a message: {error}") from error
    items = [item for block in told.content if (item := _item(block)) is not None]
    finish = finish_of(told.stop_reason or "end_turn", told.stop_sequence, told.stop_details)
    usage = Usage() if present(told.usage) is None else usage_of(told.usage)
    return Answer(told.id or "", items, finish, usage, billed_tier(told.usage))


def finish_of(native: str, stop_sequence: str | None, details: StopDetails | None) -> Finish:
    """Raises UnreadableAnswer for a turn that the upstream paused: it is no end, and nobody here goes on with it."""
    if native == "pause_turn":
        raise UnreadableAnswer("the upstream paused the turn (stop_reason `pause_turn`)")
    told = details or StopDetails()
    return Finish(
        _FINISH.get(native, "stop"), native, stop_sequence, explanation=told.explanation or told.category or ""
    )


def billed_tier(usage: Raw) -> str:
    """In OpenAI's words, as the hub has them; "" where it is not told."""
    try:
        return _TIER_IN.get(_decode_tier(usage).service_tier or "", "")
    except msgspec.DecodeError:
        return ""


def citation_of(told: CitationObject) -> Citation | None:
    """None for places in the client's own documents: only what has an address can be cited elsewhere."""
    url = told.url or told.source
    return None if url is None else Citation(url, told.title or "", text=told.cited_text or "")


def thought_of(block: Block) -> Reasoning:
    return Reasoning(block.thinking or "", block.signature or "", block.data or "", origin=ORIGIN)


def call_of(block: Block) -> ToolCall:
    """Without its arguments. Raises UnreadableAnswer."""
    if not block.id or not block.name:
        raise UnreadableAnswer("a tool call has no id or no name")
    return ToolCall(block.id, block.name, "")


def _item(block: Block) -> OutputItem | None:
    match block.type:
        case "text":
            cited = [found for one in block.citations or () if (found := citation_of(one)) is not None]
            return Message("assistant", [Text(block.text or "", citations=cited)]) if block.text else None
        case "thinking" | "redacted_thinking":
            return thought_of(block)
        case "tool_use":
            call = call_of(block)
            call.arguments = NO_ARGUMENTS if present(block.input) is None else bytes(block.input).decode()
            return call
        case _:
            return None


# To the client.


def encode_answer(answer: Answer, view: View) -> bytes:
    """With the public model name."""
    refused = any(
        isinstance(part, Refusal) for item in answer.items if isinstance(item, Message) for part in item.parts
    )
    usage = usage_object(answer.usage)
    if answer.usage.source != "unknown":
        usage["cache_creation"] = cache_creation(answer.usage)
    tier = _TIER_OUT.get(answer.service_tier)
    if tier is not None:
        usage["service_tier"] = tier
    return msgspec.json.encode(
        {
            "id": answer.id or view.id,
            "type": "message",
            "role": "assistant",
            "model": view.model,
            "content": [block for item in answer.items for block in _blocks(item)],
            **stop_fields(answer.finish, refused=refused),
            "usage": usage,
        }
    )


def stop_fields(finish: Finish, *, refused: bool) -> Json:
    """`refused`: the model itself refused, in words that other dialects mark as a refusal."""
    reason = _STOP_REASON[finish.reason]
    if finish.native == "model_context_window_exceeded":
        reason = finish.native
    elif finish.reason == "stop" and finish.stop_sequence is not None:
        reason = "stop_sequence"
    elif refused and finish.reason == "stop":
        reason = "refusal"
    told: Json = {"stop_reason": reason, "stop_sequence": finish.stop_sequence, "stop_details": None}
    if reason == "refusal":
        told["stop_details"] = {"type": "refusal", "category": None, "explanation": finish.explanation or None}
    return told | finish.beside(reason)


def citation_object(citation: Citation) -> Json:
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title or None,
        "cited_text": citation.text,
        "encrypted_index": "",
    }


def _blocks(item: OutputItem) -> list[Json]:
    if isinstance(item, Reasoning):
        return thought_blocks(item)
    if isinstance(item, ToolCall):
        sealed = call_seal(item)
        call: Json = {"type": "tool_use", "id": item.id, "name": item.name, "input": _input(item.arguments)}
        return [{"type": "redacted_thinking", "data": sealed}, call] if sealed else [call]
    blocks: list[Json] = []
    for part in item.parts:
        if isinstance(part, Text) and part.text:
            cited = [citation_object(one) for one in part.citations]
            blocks.append({"type": "text", "text": part.text, **({"citations": cited} if cited else {})})
        elif isinstance(part, Refusal) and part.text:
            blocks.append({"type": "text", "text": part.text})
    return blocks


def _input(arguments: str) -> Raw | Json:
    """An object. What a model wrote that is none goes under the name that Anthropic's own documents use for it."""
    if not arguments.strip():
        return {}
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        value = None
    return Raw(arguments.encode()) if isinstance(value, dict) else {"INVALID_JSON": arguments}
