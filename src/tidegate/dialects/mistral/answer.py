"""A whole Mistral answer, from an upstream to the hub and from the hub to a client.

Source: `chatcompletionresponse`, `assistantmessage`, `usageinfo` of the official `mistralai` SDK.
"""

import msgspec
from msgspec import Raw, Struct

from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import Answer, Message, OutputItem, Reasoning, Refusal, Text, ToolCall
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.dialects.fields import NULL, present
from tidegate.dialects.mistral.content import ORIGIN, Call, Chunk, Json, arguments_text, thought_chunk
from tidegate.dialects.openai.chat_answer import finish_of
from tidegate.dialects.openai.usage import usage_of


class Said(Struct):
    """A message, or a delta of one."""

    content: str | list[Chunk] | None = None
    tool_calls: list[Call] | None = None


class _Choice(Struct):
    message: Said
    finish_reason: str | None = None


class _Body(Struct):
    choices: list[_Choice]
    id: str | None = None
    usage: Raw = NULL


_decode = msgspec.json.Decoder(_Body).decode


def decode_answer(body: bytes) -> Answer:
    """Raises UnreadableAnswer."""
    try:
        told = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"the answer is not a chat completion: {error}") from error
    if not told.choices:
        raise UnreadableAnswer("the answer has no choice")
    choice = told.choices[0]
    try:
        items = _items(choice.message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableAnswer(f"a tool call's arguments are not text: {error}") from error
    finish = finish_of(choice.finish_reason or "stop", called=any(isinstance(item, ToolCall) for item in items))
    usage = Usage() if present(told.usage) is None else usage_of(told.usage)
    return Answer(told.id or "", items, finish, usage)


def _items(said: Said) -> list[OutputItem]:
    items: list[OutputItem] = []
    content = said.content
    message: Message | None = None
    for chunk in [Chunk(text=content)] if isinstance(content, str) else content or ():
        if chunk.thinking is not None:
            items.append(Reasoning(chunk.thought, chunk.signature or "", origin=ORIGIN))
            message = None
        elif chunk.text:
            if message is None:
                message = Message("assistant", [])
                items.append(message)
            message.parts.append(Text(chunk.text))
    for place, call in enumerate(said.tool_calls or ()):
        if not call.function.name:
            raise UnreadableAnswer("a tool call has no name")
        arguments = arguments_text(call.function.arguments) or "{}"
        items.append(ToolCall(call.own_id or f"call{place:05d}", call.function.name, arguments))
    return items


def encode_answer(answer: Answer, view: View) -> bytes:
    """With the public model name. The SDK insists on `usage`; without any it is an empty object."""
    message: Json = {"role": "assistant", "content": _content(answer.items)}
    calls = [item for item in answer.items if isinstance(item, ToolCall)]
    if calls:
        message["tool_calls"] = [call_object(call, index) for index, call in enumerate(calls)]
    choice: Json = {
        "index": 0,
        "message": message,
        "finish_reason": answer.finish.reason,
        "native_finish_reason": answer.finish.native,
    }
    body: Json = {
        "id": answer.id or view.id,
        "object": "chat.completion",
        "created": view.time_ns // 1_000_000_000,
        "model": view.model,
        "choices": [choice],
        "usage": usage_object(answer.usage, answer.service_tier),
    }
    return msgspec.json.encode(body)


def usage_object(usage: Usage, tier: str) -> Json:
    """{} where nothing was reported."""
    told: Json = {}
    if usage.source != "unknown":
        told |= {
            "prompt_tokens": usage.input_total,
            "completion_tokens": usage.output_total,
            "total_tokens": usage.total,
        }
        if usage.cached:
            told["prompt_tokens_details"] = {"cached_tokens": usage.cached}
    if tier:
        told["service_tier"] = tier
    return told


def call_object(call: ToolCall, index: int) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function, "index": index}


def _content(items: list[OutputItem]) -> str | list[Json]:
    """A text alone, unless there are thoughts."""
    chunks: list[Json] = []
    for item in items:
        if isinstance(item, Reasoning):
            chunks.append(thought_chunk(item))
        elif isinstance(item, Message):
            chunks += [{"type": "text", "text": part.text} for part in item.parts if isinstance(part, Text | Refusal)]
    if all(chunk["type"] == "text" for chunk in chunks):
        return "".join(chunk["text"] for chunk in chunks)
    return chunks
