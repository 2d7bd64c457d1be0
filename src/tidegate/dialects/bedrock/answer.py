"""A whole Converse answer, from an upstream to the hub and from the hub to a client.

Source: `ConverseResponse` of botocore's model of bedrock-runtime.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.dialects.bedrock.blocks import Block, citation_object, citation_of
from tidegate.dialects.bedrock.thoughts import call_content, thought_content, thought_of
from tidegate.dialects.bedrock.usage import Tier, usage_object, usage_of
from tidegate.dialects.canon import (
    Answer,
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

FAILED: Final = frozenset(("malformed_model_output", "malformed_tool_use"))
METRICS: Final = {"latencyMs": 0}
"""Clients' types require it; how long the upstream took, only the upstream could say."""
_TIERS: Final = {"auto": "default", "standard": "default", "fast": "priority", "scale": "reserved"}
_REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_STOPS: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "content_filter": "content_filtered",
}


class _Message(Struct):
    content: list[Block]


class _Output(Struct):
    message: _Message


class ModelFields(Struct):
    """Of what only this model answers, what was asked for."""

    stop_sequence: str | None = None


class _Body(Struct, rename="camel"):
    output: _Output
    stop_reason: str
    usage: Raw = NULL
    service_tier: Tier | None = None
    additional_model_response_fields: Raw = NULL


_decode = msgspec.json.Decoder(_Body).decode
_decode_fields = msgspec.json.Decoder(ModelFields).decode


def decode_answer(body: bytes) -> Answer:
    """Raises UnreadableAnswer."""
    try:
        told = _decode(body)
        items = _items(told.output.message.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"the answer is not one of Converse: {error}") from error
    called = any(isinstance(item, ToolCall) for item in items)
    finish = finish_of(told.stop_reason, told.additional_model_response_fields, called=called)
    tier = "" if told.service_tier is None else told.service_tier.type
    usage = Usage() if present(told.usage) is None else usage_of(told.usage, tier)
    return Answer("", items, finish, usage, tier)


def finish_of(native: str, model_fields: Raw, *, called: bool) -> Finish:
    """Raises UnreadableAnswer where the model did not come to an answer."""
    if native in FAILED:
        raise UnreadableAnswer(f"the upstream gave up: stopReason `{native}`")
    try:
        met = _decode_fields(model_fields).stop_sequence if present(model_fields) is not None else None
    except msgspec.DecodeError:
        met = None
    return Finish(_REASONS.get(native, "tool_calls" if called else "stop"), native, met)


def _items(blocks: list[Block]) -> list[OutputItem]:
    """Neighbouring texts are one message."""
    items: list[OutputItem] = []
    for block in blocks:
        text = _text(block)
        if text is not None:
            if items and isinstance(items[-1], Message):
                items[-1].parts.append(text)
            else:
                items.append(Message("assistant", [text]))
        elif block.tool_use is not None:
            called = block.tool_use
            arguments = "{}" if present(called.input) is None else bytes(called.input).decode()
            items.append(ToolCall(called.tool_use_id, called.name, arguments))
        elif block.reasoning_content is not None and isinstance(told := thought_of(block.reasoning_content), Reasoning):
            items.append(told)
    return items


def _text(block: Block) -> Text | None:
    if block.text is not None:
        return Text(block.text)
    told = block.citations_content
    if told is None:
        return None
    cited = [found for one in told.citations or () if (found := citation_of(one)) is not None]
    return Text("".join(one.text for one in told.content or ()), citations=cited)


# To the client.


def encode_answer(answer: Answer) -> bytes:
    """Converse's answers have neither an id nor the model's name."""
    content = [block for item in answer.items for block in _blocks(item)]
    body: Json = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(answer.finish),
        "metrics": METRICS,
    }
    if answer.usage.source != "unknown":
        body["usage"] = usage_object(answer.usage)
    more = beside_the_reason(answer.finish)
    if more:
        body["additionalModelResponseFields"] = more
    if answer.service_tier:
        body["serviceTier"] = tier_object(answer.service_tier)
    return msgspec.json.encode(body)


def stop_reason(finish: Finish) -> str:
    """The upstream's own word where it is one of Bedrock's."""
    if finish.reason == "stop" and finish.stop_sequence is not None:
        return "stop_sequence"
    return finish.native if _REASONS.get(finish.native) == finish.reason else _STOPS[finish.reason]


def beside_the_reason(finish: Finish) -> Json:
    """What is told of an end beside its `stopReason`."""
    more: Json = {}
    if finish.stop_sequence is not None:
        more["stop_sequence"] = finish.stop_sequence
    return more | finish.beside(stop_reason(finish))


def tier_object(tier: str) -> Json:
    return {"type": _TIERS.get(tier, tier)}


def _blocks(item: OutputItem) -> list[Json]:
    match item:
        case Message():
            return [_said(part) for part in item.parts if isinstance(part, Text | Refusal)]
        case Reasoning():
            told = thought_content(item)
            return [] if told is None else [{"reasoningContent": told}]
        case ToolCall():
            seal = call_content(item)
            called = {"toolUse": {"toolUseId": item.id, "name": item.name, "input": _input(item)}}
            return [called] if seal is None else [{"reasoningContent": seal}, called]


def _said(part: Text | Refusal) -> Json:
    if isinstance(part, Refusal) or not part.citations:
        return {"text": part.text}
    cited = [citation_object(one) for one in part.citations]
    return {"citationsContent": {"content": [{"text": part.text}], "citations": cited}}


def _input(call: ToolCall) -> object:
    """The arguments are an object here. Of a custom tool, or of a model that wrote no JSON, they are the text."""
    if not call.arguments.strip():
        return {}
    try:
        msgspec.json.decode(call.arguments)
    except (msgspec.DecodeError, RecursionError):
        return call.arguments
    return Raw(call.arguments.encode())
