"""A Mistral client's chat request, to the hub.

Most of its top level is OpenAI's under other names and is read by that reader; messages are read here.

Source: `chatcompletionrequest` and the messages' types of the official `mistralai` SDK.
"""

from collections.abc import Mapping
from typing import Final, cast

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.dialects.canon import Item, Message, Part, Reasoning, Request, Role, Text, ToolCall, ToolResult
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.history import check_tool_history, object_text
from tidegate.dialects.mistral.content import ORIGIN, Call, Chunk, arguments_text, part_of
from tidegate.dialects.openai.chat_request_in import decode_request as decode_openai


class _Message(Struct):
    role: str
    content: str | list[Chunk] | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    prefix: bool | None = None


_SAME: Final = frozenset(
    (
        "model", "max_tokens", "temperature", "top_p", "top_k", "stop", "n", "frequency_penalty", "presence_penalty",
        "logprobs", "top_logprobs", "response_format", "reasoning_effort", "tools", "parallel_tool_calls", "metadata",
        "prompt_cache_key", "stream",
    )
)  # fmt: skip
"""As OpenAI has them."""
_HINTS: Final = frozenset(("prediction", "repetition_penalty"))
_NAMES: Final = {"max_output_tokens": "max_tokens", "seed": "random_seed"}
_TIERS: Final = {b'"auto"': b'"auto"', b'"standard_only"': b'"default"'}

_decode_messages = msgspec.json.Decoder(list[_Message]).decode


def decode_request(fields: Mapping[str, Raw]) -> Request:
    """`fields` is the body's top level. Raises UnreadableRequest."""
    top: dict[str, Raw] = {"messages": Raw(b"[]")}
    dropped: list[str] = []
    for name, raw in fields.items():
        text = bytes(raw)
        if name in _SAME:
            top[name] = raw
        elif name == "messages" or text == b"null":
            continue
        elif name == "random_seed":
            top["seed"] = raw
        elif name == "tool_choice":
            top[name] = Raw(b'"required"') if text == b'"any"' else raw
        elif name == "service_tier":
            top[name] = Raw(_TIERS.get(text, text))
        elif name in _HINTS:
            dropped.append(name)
        elif text not in (b"false", b"[]"):  # `safe_prompt` and `prompt_logprobs`, `guardrails`: not asked for
            raise unsupported_field(name, f"`{name}` cannot be honoured by the upstream of this model. Leave it out.")
    request = _renamed(top)
    request.dropped = dropped + request.dropped
    request.names |= _NAMES
    request.items = _items(fields["messages"])
    check_tool_history(request.items, "messages")
    return request


def _renamed(top: dict[str, Raw]) -> Request:
    try:
        return decode_openai(top)
    except UnreadableRequest as error:
        problem = error.problem
        if problem.field != "seed":
            raise
        message = problem.message.replace("seed", "random_seed")
        renamed = Problem(status=problem.status, code=problem.code, message=message, field="random_seed")
        raise UnreadableRequest(renamed) from error


def _items(raw: Raw) -> list[Item]:
    try:
        messages = _decode_messages(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"`messages` is not a list of messages: {error}.", "messages") from error
    return [item for place, message in enumerate(messages) for item in _said(message, f"messages[{place}]")]


def _said(message: _Message, where: str) -> list[Item]:
    if message.role == "assistant":
        return _assistant(message, where)
    parts = [part for one in _parts(message, where) if not isinstance(part := one, Reasoning)]
    if message.role == "tool":
        if message.tool_call_id is None:
            raise bad_field(f"`{where}.tool_call_id` is missing: say which call this answers.", "messages")
        return [ToolResult(message.tool_call_id, parts, message.name or "")]
    if message.role not in ("system", "user"):
        raise bad_field(f"`{where}.role` is `{message.role}`: it can be system, user, assistant or tool.", "messages")
    return [Message(cast(Role, message.role), parts)]


def _assistant(message: _Message, where: str) -> list[Item]:
    if message.prefix:
        raise unsupported_field("messages", f"`{where}.prefix`: the upstream of this model begins its own answers.")
    items: list[Item] = []
    for part in _parts(message, where):
        if isinstance(part, Reasoning):
            items.append(part)
        elif items and isinstance(items[-1], Message):
            items[-1].parts.append(part)
        else:
            items.append(Message("assistant", [part]))
    return items + [_call(call, index, where) for index, call in enumerate(message.tool_calls or ())]


def _call(call: Call, index: int, where: str) -> ToolCall:
    where = f"{where}.tool_calls[{index}]"
    if call.own_id is None:
        raise bad_field(f"`{where}.id` is missing.", "messages")
    if not call.function.name:
        raise bad_field(f"`{where}.function.name` is missing: name the function that was called.", "messages")
    text = object_text(arguments_text(call.function.arguments), f"{where}.function.arguments")
    return ToolCall(call.own_id, call.function.name, text)


def _parts(message: _Message, where: str) -> list[Part | Reasoning]:
    content = message.content
    if content is None or isinstance(content, str):
        return [Text(content)] if content else []
    parts: list[Part | Reasoning] = []
    for index, chunk in enumerate(content):
        if chunk.type == "thinking" and chunk.thinking is not None:
            parts.append(Reasoning(chunk.thought, chunk.signature or "", origin=ORIGIN))
            continue
        part = part_of(chunk, f"{where}.content[{index}]")
        if part is not None:
            parts.append(part)
    return parts
