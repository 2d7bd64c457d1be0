"""Cohere's whole answer, from an upstream to the hub and from the hub to a client.

Source: `v2.types.v2chat_response`, `types.assistant_message_response`, `types.citation` of the official `cohere` SDK.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
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
from tidegate.dialects.cohere.request_in import ORIGIN
from tidegate.dialects.cohere.usage import usage_object, usage_of
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.dialects.fields import NULL, present

Json = dict[str, Any]


class Block(Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class Function(Struct):
    name: str | None = None
    arguments: str | None = None


class Call(Struct):
    id: str | None = None
    function: Function | None = None


class _Source(Struct):
    document: Json | None = None
    tool_output: Json | None = None

    @property
    def page(self) -> tuple[str, str]:
        """(URL, title): what is in a document, or in a tool's output, is up to the client."""
        told = self.document or self.tool_output or {}
        url, title = told.get("url"), told.get("title")
        return (url if isinstance(url, str) else "", title if isinstance(title, str) else "")


class Cited(Struct):
    start: int | None = None
    end: int | None = None
    sources: list[_Source] | None = None
    type: str | None = None


class _Message(Struct):
    content: list[Block] | None = None
    tool_calls: list[Call] | None = None
    tool_plan: str | None = None
    citations: list[Cited] | None = None


class _Body(Struct):
    message: _Message
    finish_reason: str | None = None
    id: str | None = None
    usage: Raw = NULL


_FINISH: Final[dict[str, FinishReason]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_LIMIT": "length",
    "ERROR_TOXIC": "content_filter",
}
FAILED: Final = frozenset(("ERROR", "TIMEOUT"))
_WORDS: Final[dict[FinishReason, str]] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",
}

_decode = msgspec.json.Decoder(_Body).decode


def decode_answer(body: bytes) -> Answer:
    """Raises UnreadableAnswer."""
    try:
        told = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"the answer is not one of /v2/chat: {error}") from error
    items = _items(told.message)
    finish = finish_of(told.finish_reason or "COMPLETE", called=any(isinstance(item, ToolCall) for item in items))
    usage = Usage() if present(told.usage) is None else usage_of(told.usage)
    return Answer(told.id or "", items, finish, usage)


def finish_of(native: str, *, called: bool) -> Finish:
    """Raises UnreadableAnswer for an upstream that gave up."""
    if native in FAILED:
        raise UnreadableAnswer(f"the upstream gave up: finish_reason `{native}`")
    reason = _FINISH.get(native, "stop")
    return Finish("tool_calls" if called and reason == "stop" else reason, native)


def citations_of(cited: Cited) -> list[Citation]:
    """Those whose source has an address; other sources have a meaning to Cohere alone."""
    if cited.type not in (None, "TEXT_CONTENT"):
        return []
    pages = [source.page for source in cited.sources or ()]
    return [Citation(url, title, cited.start, cited.end) for url, title in pages if url]


def call_of(call: Call, place: int) -> ToolCall:
    """Raises UnreadableAnswer."""
    if call.function is None or not call.function.name:
        raise UnreadableAnswer("a tool call has no name")
    return ToolCall(call.id or f"call_{place}", call.function.name, call.function.arguments or "")


def _items(message: _Message) -> list[OutputItem]:
    items: list[OutputItem] = []
    texts: list[Text] = []
    for block in message.content or ():
        if block.thinking:
            items.append(Reasoning(block.thinking, origin=ORIGIN))
        elif block.text:
            texts.append(Text(block.text))
    if message.tool_plan:
        texts.append(Text(message.tool_plan))
    if texts:
        texts[0].citations = [one for cited in message.citations or () for one in citations_of(cited)]
        items.append(Message("assistant", [*texts]))
    for place, told in enumerate(message.tool_calls or ()):
        call = call_of(told, place)
        call.arguments = call.arguments or "{}"
        items.append(call)
    return items


# To the client.


def encode_answer(answer: Answer, view: View) -> bytes:
    """A text that comes along with calls is the plan of their use."""
    content: list[Json] = []
    calls: list[Json] = []
    cited: list[Json] = []
    for item in answer.items:
        match item:
            case Reasoning():
                content.append({"type": "thinking", "thinking": item.text})
            case ToolCall():
                calls.append(call_object(item))
            case Message():
                for part in item.parts:
                    if isinstance(part, Text | Refusal):
                        content.append({"type": "text", "text": part.text})
                    if isinstance(part, Text):
                        cited += [citation(one, part.text, len(content) - 1) for one in part.citations]
    message: Json = {"role": "assistant"}
    if calls:
        message["tool_calls"] = calls
        plan = "".join(block["text"] for block in content if block["type"] == "text")
        content = [block for block in content if block["type"] != "text"]
        if plan:
            message["tool_plan"] = plan
    if content or not calls:
        message["content"] = content
    if cited:
        message["citations"] = cited
    return msgspec.json.encode({"id": answer.id or view.id, "message": message, **ending(answer.finish, answer.usage)})


def ending(finish: Finish, usage: Usage | None) -> Json:
    word = finish.native if finish.native in _FINISH else _WORDS[finish.reason]
    if finish.stop_sequence is not None:
        word = "STOP_SEQUENCE"
    told: Json = {"finish_reason": word, **finish.beside(word)}
    if usage is not None and usage.source != "unknown":
        told["usage"] = usage_object(usage)
    return told


def call_object(call: ToolCall) -> Json:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def citation(one: Citation, text: str, index: int) -> Json:
    """`text`: what the offsets are of."""
    told: Json = {"type": "TEXT_CONTENT", "content_index": index}
    if one.start is not None and one.end is not None:
        told |= {"start": one.start, "end": one.end, "text": text[one.start : one.end]}
    document = {"url": one.url, "title": one.title}
    if one.text:
        document["snippet"] = one.text
    told["sources"] = [{"type": "document", "id": one.url, "document": document}]
    return told
