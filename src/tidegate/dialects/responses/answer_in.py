"""A whole Response of an upstream, to the hub.

Source: `openai.types.responses.response` of the official SDK.
"""

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
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
from tidegate.dialects.responses.seal import FAMILY
from tidegate.dialects.responses.usage import usage_of
from tidegate.dialects.service_tiers import in_tier


class Annotation(Struct):
    type: str = ""
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Part(Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None


class OutputItemTold(Struct):
    """Of any type; those that the hub does not know keep only their `type`."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    encrypted_content: str | None = None
    content: list[Part] | None = None
    summary: list[Part] | None = None


class _Typed(Struct):
    type: str = ""


class Incomplete(Struct):
    reason: str | None = None


class Error(Struct):
    code: str | int | None = None
    message: str | None = None


class ResponseTold(Struct):
    """The part of a response object that counts."""

    id: str | None = None
    status: str | None = None
    output: list[Raw] | None = None
    usage: Raw = NULL
    error: Error | None = None
    incomplete_details: Incomplete | None = None
    service_tier: str | None = None


KNOWN: Final = frozenset(("message", "reasoning", "function_call", "custom_tool_call"))
_INCOMPLETE: Final[dict[str, FinishReason]] = {"max_output_tokens": "length", "content_filter": "content_filter"}

_decode = msgspec.json.Decoder(ResponseTold).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_item = msgspec.json.Decoder(OutputItemTold).decode


def decode_answer(body: bytes) -> Answer:
    """Raises UnreadableAnswer."""
    try:
        told = _decode(body)
        items = [found for one in told.output or () if (found := _item(read_item(one))) is not None]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"the answer is not a Response: {error}") from error
    if told.output is None:
        raise UnreadableAnswer("the answer has no output")
    finish = finish_of(told, called=any(isinstance(item, ToolCall) for item in items))
    return Answer(told.id or "", items, finish, usage_told(told) or Usage(), told.service_tier or "")


def read_item(raw: Raw) -> OutputItemTold:
    """Hosted tools' items have members of other shapes: only their type is read. Raises msgspec.DecodeError."""
    kind = _decode_typed(raw).type
    return _decode_item(raw) if kind in KNOWN else OutputItemTold(kind)


def usage_told(told: ResponseTold) -> Usage | None:
    """With its service tier."""
    if present(told.usage) is None:
        return None
    return in_tier(usage_of(told.usage), told.service_tier)


def finish_of(told: ResponseTold, *, called: bool) -> Finish:
    """Raises UnreadableAnswer where the upstream did not finish at all."""
    if told.status == "incomplete":
        details = told.incomplete_details
        native = "incomplete" if details is None else details.reason or "incomplete"
        return Finish(_INCOMPLETE.get(native, "length"), native)
    if told.status not in (None, "completed"):
        message = "" if told.error is None else told.error.message or ""
        raise UnreadableAnswer(f"the upstream gave up: status `{told.status}` {message}".rstrip())
    return Finish("tool_calls" if called else "stop", "completed")


def call_of(item: OutputItemTold) -> ToolCall:
    """Without its arguments. Raises UnreadableAnswer."""
    if not item.name:
        raise UnreadableAnswer("a tool call has no name")
    own = item.call_id or item.id
    if not own:
        raise UnreadableAnswer("a tool call has no id")
    return ToolCall(own, item.name, "", custom=item.type == "custom_tool_call")


def citation_of(told: Annotation) -> Citation | None:
    if told.type != "url_citation" or told.url is None:
        return None
    return Citation(told.url, told.title or "", told.start_index, told.end_index)


def thought_of(item: OutputItemTold) -> Reasoning:
    """The thought itself where it is told, else its summary."""
    summary = not item.content
    between, parts = ("\n\n", item.summary) if summary else ("", item.content)
    text = between.join(one.text or "" for one in parts or ())
    return Reasoning(
        text,
        encrypted=item.encrypted_content or "",
        summary=summary and bool(item.summary),
        origin=FAMILY,
        id=item.id or "",
    )


def _item(item: OutputItemTold) -> OutputItem | None:
    match item.type:
        case "message":
            return Message("assistant", [*_parts(item)], id=item.id or "")
        case "reasoning":
            return thought_of(item)
        case "function_call":
            call = call_of(item)
            call.arguments = item.arguments or "{}"
            return call
        case "custom_tool_call":
            call = call_of(item)
            call.arguments = item.input or ""
            return call
        case _:
            return None


def _parts(item: OutputItemTold) -> list[Text | Refusal]:
    parts: list[Text | Refusal] = []
    for part in item.content or ():
        if part.type == "refusal":
            parts.append(Refusal(part.refusal or ""))
        elif part.text is not None:
            cited = [found for one in part.annotations or () if (found := citation_of(one)) is not None]
            parts.append(Text(part.text, citations=cited))
    return parts
