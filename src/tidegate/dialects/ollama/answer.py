"""Ollama's whole answer, from an upstream to the hub and from the hub to a client.

Source: `ChatResponse`, `GenerateResponse` of the official `ollama` SDK.
"""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import Answer, Finish, Message, OutputItem, Reasoning, Refusal, Text, ToolCall
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.dialects.fields import NULL
from tidegate.dialects.ollama.request_in import ORIGIN

Json = dict[str, Any]


class Function(Struct):
    name: str
    arguments: Raw = NULL


class Call(Struct):
    function: Function
    id: str | None = None


class Said(Struct):
    """A message, or a delta of one."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None


class Line(Struct):
    """A whole answer, or a line of a stream."""

    message: Said | None = None
    error: str | None = None
    done: bool = False
    done_reason: str | None = None
    created_at: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None


_FILTERED: Final = "content_filter"

decode_line = msgspec.json.Decoder(Line).decode


def decode_answer(body: bytes) -> Answer:
    """Raises UnreadableAnswer."""
    try:
        told = decode_line(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"the answer is not one of /api/chat: {error}") from error
    if told.message is None:
        raise UnreadableAnswer("the answer has no message")
    said = told.message
    items: list[OutputItem] = []
    if said.thinking:
        items.append(Reasoning(said.thinking, origin=ORIGIN))
    if said.content:
        items.append(Message("assistant", [Text(said.content)]))
    calls = [call_of(call, place, told) for place, call in enumerate(said.tool_calls or ())]
    return Answer("", [*items, *calls], finish_of(told, called=bool(calls)), usage_of(told))


def call_of(call: Call, place: int, told: Line) -> ToolCall:
    """Older servers give calls no ids; an id must not come twice in a conversation. Raises UnreadableAnswer."""
    if not call.function.name:
        raise UnreadableAnswer("a tool call has no name")
    try:
        arguments = bytes(call.function.arguments).decode()
    except UnicodeDecodeError as error:
        raise UnreadableAnswer("a tool call's arguments are not UTF-8") from error
    made = sha256(f"{told.created_at} {place} {call.function.name} {arguments}".encode()).hexdigest()[:16]
    return ToolCall(call.id or f"call_{made}", call.function.name, "{}" if arguments == "null" else arguments)


def finish_of(told: Line, *, called: bool) -> Finish:
    native = told.done_reason or "stop"
    if called:
        return Finish("tool_calls", native)
    if native == _FILTERED:
        return Finish("content_filter", native)
    return Finish("length" if native == "length" else "stop", native)


def usage_of(told: Line) -> Usage:
    """Unknown where the prompt was not counted. Counts of nothing are left out by the server, so no output is 0."""
    counts = {"prompt_eval_count": told.prompt_eval_count, "eval_count": told.eval_count}
    raw = msgspec.json.encode({name: count for name, count in counts.items() if count is not None})
    if told.prompt_eval_count is None:
        return Usage(raw=raw)
    return Usage(input=max(0, told.prompt_eval_count), output=max(0, told.eval_count or 0), source="reported", raw=raw)


# To the client.


def encode_answer(answer: Answer, view: View) -> bytes:
    """With the public model name. Durations are left out: nothing is known of them."""
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Json] = []
    for item in answer.items:
        match item:
            case Message():
                texts += [part.text for part in item.parts if isinstance(part, Text | Refusal)]
            case Reasoning():
                thoughts.append(item.text)
            case ToolCall():
                calls.append(call_object(item, len(calls)))
    body = head(view) | said(view, "".join(texts), "".join(thoughts), calls) | ending(answer.finish, answer.usage)
    return msgspec.json.encode(body)


def head(view: View) -> Json:
    created = datetime.fromtimestamp(view.time_ns // 1_000_000_000, UTC)
    return {"model": view.model, "created_at": created.isoformat().replace("+00:00", "Z")}


def said(view: View, text: str, thought: str = "", calls: list[Json] | None = None) -> Json:
    """A message, or what `/api/generate` has in its place."""
    if view.form == "generate":
        told: Json = {"response": text}
        return told | {"thinking": thought} if thought else told
    message: Json = {"role": "assistant", "content": text}
    if thought:
        message["thinking"] = thought
    if calls:
        message["tool_calls"] = calls
    return {"message": message}


def ending(finish: Finish, usage: Usage) -> Json:
    """It has no word of its own for tool calls."""
    word = "stop" if finish.reason == "tool_calls" else finish.reason
    told: Json = {"done": True, "done_reason": word, **finish.beside(word)}
    if usage.source != "unknown":
        told |= {"prompt_eval_count": usage.input_total, "eval_count": usage.output_total}
    return told


def call_object(call: ToolCall, index: int) -> Json:
    """Arguments are an object here. Text of a model's that is none is given as it is, under a name that says so."""
    text = call.arguments.strip() or "{}"
    try:
        valid = isinstance(msgspec.json.decode(text), dict) and not call.custom
    except (msgspec.DecodeError, RecursionError):
        valid = False
    arguments: Raw | Json = {"_text": call.arguments}
    if valid:
        # No line may end inside an object; JSON has raw line ends between its tokens alone.
        arguments = Raw((msgspec.json.format(text, indent=-1) if "\n" in text or "\r" in text else text).encode())
    return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": arguments}}
