"""A whole generateContent answer, from an upstream to the hub and from the hub to a client.

Source: `google.genai.types.GenerateContentResponse` of the official SDK.
"""

from hashlib import sha256
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
from tidegate.dialects.gemini.signatures import ORIGIN, packed
from tidegate.dialects.gemini.usage import tier_of, usage_metadata, usage_of

Json = dict[str, Any]


class FunctionCall(Struct, rename="camel"):
    name: str | None = None
    id: str | None = None
    args: Raw = NULL
    partial_args: Raw = NULL


class Part(Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Raw = NULL
    file_data: Raw = NULL


class Content(Struct):
    parts: list[Part] | None = None


class CitationSource(Struct, rename="camel"):
    uri: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class CitationMetadata(Struct, rename="camel"):
    citations: list[CitationSource] | None = None
    citation_sources: list[CitationSource] | None = None
    """As versions before v1 call it."""


class Candidate(Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    citation_metadata: CitationMetadata | None = None
    index: int | None = None


class PromptFeedback(Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class Response(Struct, rename="camel"):
    """A whole answer, or one chunk of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: Raw = NULL
    response_id: str | None = None
    error: Raw = NULL


decode_response = msgspec.json.Decoder(Response).decode

_FILTERED: Final = frozenset(
    (
        *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "ESCALATION"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "PUP_LIMITED_DISABLED"),
    )
)
_FINISH: Final[dict[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(_FILTERED, "content_filter"),
}


def read_response(data: bytes) -> Response:
    """Raises UnreadableAnswer."""
    try:
        return decode_response(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"the answer is not what the dialect promises: {error}") from error


def decode_answer(body: bytes) -> Answer:
    """Raises UnreadableAnswer."""
    told = read_response(body)
    usage = Usage() if present(told.usage_metadata) is None else usage_of(told.usage_metadata)
    tier = tier_of(told.usage_metadata)
    own = told.response_id or ""
    if not told.candidates:
        return Answer(own, [], blocked(told.prompt_feedback), usage, tier)
    candidate = told.candidates[0]
    items = _items(candidate, own)
    if candidate.finish_reason is None:
        raise UnreadableAnswer("the answer has no finishReason")
    called = any(isinstance(item, ToolCall) for item in items)
    return Answer(own, items, finish_of(candidate.finish_reason, candidate.finish_message, called=called), usage, tier)


def finish_of(native: str, message: str | None, *, called: bool) -> Finish:
    """Calls end with STOP here. Raises UnreadableAnswer for reasons that are failures, and those that are not known."""
    reason = _FINISH.get(native)
    if reason is None:
        told = f": {message}" if message else ""
        raise UnreadableAnswer(f"the upstream gave up: finishReason `{native}`{told}")
    return Finish("tool_calls" if called and reason == "stop" else reason, native, explanation=message or "")


def blocked(feedback: PromptFeedback | None) -> Finish:
    """A prompt that was not let through: there is no candidate. Raises UnreadableAnswer where nothing says why."""
    if feedback is None or not feedback.block_reason:
        raise UnreadableAnswer("the answer has no candidate")
    return Finish("content_filter", feedback.block_reason, explanation=feedback.block_reason_message or "")


def call_of(call: FunctionCall, signature: str, response_id: str, place: int) -> ToolCall:
    """An id that is not there is made from what is: the same answer has the same ids. Raises UnreadableAnswer."""
    if not call.name:
        raise UnreadableAnswer("a function call has no name")
    if present(call.partial_args) is not None:
        raise UnreadableAnswer("a function call came in pieces, which was not asked for")
    args = "{}" if present(call.args) is None else bytes(call.args).decode()
    if not args.startswith("{"):
        raise UnreadableAnswer("the arguments of a function call are not an object")
    own = call.id
    if not own:
        seed = f"{response_id}\n{place}\n{call.name}\n{args}"
        own = "call_" + sha256(seed.encode()).hexdigest()[:24]
    return ToolCall(own, call.name, args, signature=signature)


def check_part(part: Part) -> None:
    if present(part.inline_data) is not None or present(part.file_data) is not None:
        raise UnreadableAnswer("the answer has a picture or a file, which this client's dialect has no place for")


def citations_of(candidate: Candidate) -> list[CitationSource]:
    told = candidate.citation_metadata
    return [] if told is None else [one for one in told.citations or told.citation_sources or () if one.uri]


def _items(candidate: Candidate, own: str) -> list[OutputItem]:
    items: list[OutputItem] = []
    calls = 0
    for part in (candidate.content or Content()).parts or ():
        check_part(part)
        signature = part.thought_signature or ""
        if part.function_call is not None:
            items.append(call_of(part.function_call, signature, own, calls))
            calls += 1
        elif part.thought:
            items.append(Reasoning(part.text or "", signature, summary=True, origin=ORIGIN))
        else:
            if signature:
                items.append(Reasoning(signature=signature, origin=ORIGIN))
            if part.text:
                _say(items, part.text)
    _cite(items, candidate)
    return items


def _say(items: list[OutputItem], text: str) -> None:
    last = items[-1] if items else None
    if not isinstance(last, Message):
        last = Message("assistant", [])
        items.append(last)
    last.parts.append(Text(text))


def _cite(items: list[OutputItem], candidate: Candidate) -> None:
    """To the text that they are about: their places are counted in bytes of UTF-8, over all texts."""
    texts = [part for item in items if isinstance(item, Message) for part in item.parts if isinstance(part, Text)]
    for told in citations_of(candidate):
        begin, end = told.start_index or 0, told.end_index
        passed = 0
        for text in texts:
            data = text.text.encode()
            if end is not None and begin < passed + len(data):
                start = len(data[: max(0, begin - passed)].decode(errors="ignore"))
                stop = len(data[: max(0, end - passed)].decode(errors="ignore"))
                text.citations.append(Citation(told.uri or "", told.title or "", start, stop))
                break
            passed += len(data)
        else:
            if texts:
                texts[-1].citations.append(Citation(told.uri or "", told.title or ""))


# To the client.


def encode_answer(answer: Answer, view: View) -> bytes:
    """With the public model name."""
    parts: list[Json] = []
    cited: list[Json] = []
    waiting = broken = ""
    offset = 0
    for item in answer.items:
        if isinstance(item, Reasoning):
            if item.origin == ORIGIN and not item.text:
                parts += _alone(waiting)
                waiting = item.signature
            else:
                parts.append(thought_part(item))
        elif isinstance(item, ToolCall):
            part = call_part(item)
            if part is None:
                broken = item.name
            else:
                parts.append(part)
        else:
            for one in item.parts:
                text = one.text if isinstance(one, Text | Refusal) else ""
                parts.append({"text": text})
                cited += [citation(source, text, offset) for source in (one.citations if isinstance(one, Text) else ())]
                offset += len(text.encode())
            if waiting and item.parts:
                parts[-1]["thoughtSignature"], waiting = waiting, ""
    parts += _alone(waiting)
    candidate: Json = {
        "content": {"parts": parts, "role": "model"},
        **finish_members(answer.finish, broken),
        "index": 0,
    }
    if cited:
        candidate["citationMetadata"] = {"citations": cited}
    body: Json = {"candidates": [candidate]}
    if answer.usage.source != "unknown":
        body["usageMetadata"] = usage_metadata(answer.usage, answer.service_tier)
    body |= {"modelVersion": view.model, "responseId": answer.id or view.id}
    return msgspec.json.encode(body)


def finish_members(finish: Finish, broken: str) -> Json:
    """A reason that Gemini has; of a filter its own word, where it is one of Gemini's.

    `broken`: the name of a tool whose call had to be left out. Where the bound on tokens cut it, that is the reason.
    """
    told = _finish_members(finish, broken)
    return told | finish.beside(told["finishReason"], "nativeFinishReason")


def _finish_members(finish: Finish, broken: str) -> Json:
    if finish.reason == "length":
        return {"finishReason": "MAX_TOKENS"}
    if broken:
        message = f"The arguments of a call of `{broken}` are not the text of a JSON object."
        return {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": message}
    if finish.reason != "content_filter":
        return {"finishReason": "STOP"}
    told: Json = {"finishReason": finish.native if finish.native in _FILTERED else "SAFETY"}
    if finish.explanation:
        told["finishMessage"] = finish.explanation
    return told


def thought_part(thought: Reasoning) -> Json:
    part: Json = {"text": thought.text, "thought": True}
    signature = packed(thought)
    if signature:
        part["thoughtSignature"] = signature
    return part


def call_part(call: ToolCall) -> Json | None:
    """None where the arguments are not the text of an object: then there is no such call in this dialect."""
    text = call.arguments.strip() or "{}"
    try:
        if not isinstance(msgspec.json.decode(text), dict):
            return None
    except (msgspec.DecodeError, RecursionError):
        return None
    part: Json = {"functionCall": {"id": call.id, "name": call.name, "args": Raw(text.encode())}}
    if call.signature:
        part["thoughtSignature"] = call.signature
    return part


def citation(source: Citation, text: str = "", offset: int = 0) -> Json:
    """`offset` is where `text` begins among all texts, in bytes of UTF-8: so are places counted here."""
    told: Json = {"uri": source.url}
    if source.title:
        told["title"] = source.title
    if text and source.start is not None and source.end is not None:
        told["startIndex"] = offset + len(text[: source.start].encode())
        told["endIndex"] = offset + len(text[: source.end].encode())
    return told


def _alone(signature: str) -> list[Json]:
    return [{"text": "", "thoughtSignature": signature}] if signature else []
