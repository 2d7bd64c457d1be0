"""A whole chat completion, from an upstream to the hub and from the hub to a client.

Source: `openai.types.chat.chat_completion` of the official SDK; `reasoning` as vLLM and OpenRouter write it,
`reasoning_content` as DeepSeek does, `reasoning_details` as OpenRouter publishes them.
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
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.dialects.fields import NULL, present
from tidegate.dialects.openai.usage import usage_of
from tidegate.dialects.service_tiers import in_tier

Json = dict[str, Any]


class UrlCitation(Struct):
    url: str
    title: str = ""
    start_index: int | None = None
    end_index: int | None = None


class Annotation(Struct):
    type: str
    url_citation: UrlCitation | None = None


class Function(Struct):
    name: str | None = None
    arguments: str | None = None


class Custom(Struct):
    name: str | None = None
    input: str | None = None


class GoogleExtra(Struct):
    thought_signature: str = ""


class Extra(Struct):
    google: GoogleExtra | None = None


class Call(Struct):
    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Custom | None = None
    extra_content: Extra | None = None

    @property
    def signature(self) -> str:
        google = None if self.extra_content is None else self.extra_content.google
        return "" if google is None else google.thought_signature


class Said(Struct):
    """A message, or a delta of one."""

    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    annotations: list[Annotation] | None = None
    signature: str | None = None
    """Of the thought, where a dialect near to this one has it (Mistral)."""


class _Choice(Struct):
    message: Said
    finish_reason: str | None = None


class _Body(Struct):
    choices: list[_Choice]
    id: str | None = None
    usage: Raw = NULL
    service_tier: str | None = None


_FINISH: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_FAILED: Final = frozenset(("error", "abort", "timeout"))

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
    items = _items(choice.message)
    finish = finish_of(choice.finish_reason or "stop", called=any(isinstance(item, ToolCall) for item in items))
    usage = Usage() if present(told.usage) is None else in_tier(usage_of(told.usage), told.service_tier)
    return Answer(told.id or "", items, finish, usage, told.service_tier or "")


def finish_of(native: str, *, called: bool) -> Finish:
    """A named tool's call ends with `stop` at OpenAI: to the hub it is a tool call all the same."""
    if native in _FAILED:
        raise UnreadableAnswer(f"the upstream gave up: finish_reason `{native}`")
    reason = _FINISH.get(native, "stop")
    return Finish("tool_calls" if called and reason == "stop" else reason, native)


def citation_of(annotation: Annotation) -> Citation | None:
    told = annotation.url_citation
    return None if told is None else Citation(told.url, told.title, told.start_index, told.end_index)


def _items(message: Said) -> list[OutputItem]:
    items: list[OutputItem] = []
    thought = message.reasoning or message.reasoning_content
    if thought:
        items.append(Reasoning(thought, origin="openai"))
    parts: list[Text | Refusal] = []
    if message.content:
        cited = [found for one in message.annotations or () if (found := citation_of(one)) is not None]
        parts.append(Text(message.content, citations=cited))
    if message.refusal:
        parts.append(Refusal(message.refusal))
    if parts:
        items.append(Message("assistant", [*parts]))
    calls = list(message.tool_calls or ())
    if message.function_call is not None:
        calls.append(Call(function=message.function_call))
    return items + [_call(call, place) for place, call in enumerate(calls)]


def _call(call: Call, place: int) -> ToolCall:
    own = call.id or f"call_{place}"
    if call.custom is not None:
        return ToolCall(own, call.custom.name or "", call.custom.input or "", custom=True)
    function = call.function
    if function is None or not function.name:
        raise UnreadableAnswer("a tool call has no name")
    return ToolCall(own, function.name, function.arguments or "{}", signature=call.signature)


# To the client.


def encode_answer(answer: Answer, view: View) -> bytes:
    """With the public model name, and the upstream's own finish reason beside the valid one."""
    message = _message(answer.items)
    choice: Json = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": answer.finish.reason,
        "native_finish_reason": answer.finish.native,
    }
    body: Json = {
        "id": answer.id or view.id,
        "object": "chat.completion",
        "created": view.time_ns // 1_000_000_000,
        "model": view.model,
        "choices": [choice],
    }
    if answer.usage.source != "unknown":
        body["usage"] = usage_object(answer.usage)
    if answer.service_tier:
        body["service_tier"] = answer.service_tier
    return msgspec.json.encode(body)


def usage_object(usage: Usage) -> Json:
    """OpenAI's totals include what is cached, written, heard, seen and thought."""
    return {
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "audio_tokens": usage.input_audio,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.output_audio,
        },
    }


def reasoning_detail(reasoning: Reasoning, index: int) -> Json:
    """The form in which a thought comes back on the next turn with all that its provider wants of it."""
    detail: Json = {"type": "reasoning.text", "index": index, "format": reasoning.origin}
    if reasoning.encrypted:
        detail |= {"type": "reasoning.encrypted", "data": reasoning.encrypted}
    elif reasoning.summary:
        detail |= {"type": "reasoning.summary", "summary": reasoning.text}
    else:
        detail["text"] = reasoning.text
    if reasoning.signature:
        detail["signature"] = reasoning.signature
    if reasoning.id:
        detail["id"] = reasoning.id
    return detail


def call_object(call: ToolCall) -> Json:
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    told: Json = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    if call.signature:
        told["extra_content"] = {"google": {"thought_signature": call.signature}}
    return told


def annotation(citation: Citation) -> Json:
    told: Json = {"url": citation.url, "title": citation.title}
    if citation.start is not None:
        told |= {"start_index": citation.start, "end_index": citation.end}
    return {"type": "url_citation", "url_citation": told}


def _message(items: list[OutputItem]) -> Json:
    texts: list[str] = []
    refusals: list[str] = []
    cited: list[Citation] = []
    for item in items:
        for part in item.parts if isinstance(item, Message) else ():
            if isinstance(part, Text):
                texts.append(part.text)
                cited += part.citations
            elif isinstance(part, Refusal):
                refusals.append(part.text)
    message: Json = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": "".join(refusals) if refusals else None,
    }
    if cited:
        message["annotations"] = [annotation(one) for one in cited]
    thoughts = [item for item in items if isinstance(item, Reasoning)]
    if thoughts:
        text = "".join(one.text for one in thoughts)
        if text:
            message |= {"reasoning": text, "reasoning_content": text}
        message["reasoning_details"] = [reasoning_detail(one, index) for index, one in enumerate(thoughts)]
    calls = [item for item in items if isinstance(item, ToolCall)]
    if calls:
        message["tool_calls"] = [call_object(call) for call in calls]
    return message
