"""Reads a chat request as strictly as Cohere does."""

import json
import re
from typing import Any, Final

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.cohere.fields import Fields, invalid
from tidegate.simulator.composition import Conversation, Tool
from tidegate.simulator.invention import estimate_tokens

_KNOWN: Final = frozenset(
    """model messages tools strict_tools documents citation_options response_format safety_mode max_tokens stop_sequences
    temperature seed frequency_penalty presence_penalty k p logprobs tool_choice thinking priority stream""".split()
)
_MESSAGE: Final = frozenset("role content tool_calls tool_plan tool_call_id citations".split())
_PARTS: Final = {
    "user": ("text", "image_url"),
    "assistant": ("text", "thinking"),
    "system": ("text",),
    "tool": ("text", "document"),
}
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,100}")
_IMAGE_TOKENS: Final = 256
_MESSAGE_TOKENS: Final = 3
_MOST_STOPS: Final = 5


class ChatRequest(Conversation, kw_only=True):
    """What an answer depends on."""

    logprobs: bool


def read_chat(fields: Fields, behaviour: Behaviour) -> ChatRequest:
    """Raises Rejection."""
    if behaviour.strict:
        fields.only(_KNOWN)
    fields.needed_items("messages")
    messages = fields.each("messages")
    texts: list[str] = []
    images = 0
    for message in messages:
        text, counted = _read_message(message)
        texts.append(text)
        images += counted
    _check_calls(messages)
    tools = _read_tools(fields)
    documents = fields.items("documents") or []
    _check_plain_fields(fields)
    prompt = "\n".join([*texts, *(json.dumps(document) for document in documents)]).encode("utf-8", "surrogatepass")
    last = messages[-1]
    return ChatRequest(
        prompt=prompt,
        prompt_tokens=estimate_tokens(prompt) + _MESSAGE_TOKENS * len(messages) + images * _IMAGE_TOKENS,
        last_text=_text_of(last),
        answers_tool=last.get("role") == "tool",
        stream=fields.flag("stream"),
        limit=fields.whole("max_tokens", 1, behaviour.max_output_tokens),
        stop=fields.texts("stop_sequences", longest=_MOST_STOPS),
        tools=tools,
        tool_choice=_read_tool_choice(fields, tools),
        parallel=True,
        json_schema=_read_format(fields, bool(tools or documents)),
        thinks=_read_thinking(fields),
        logprobs=fields.flag("logprobs"),
    )


def _read_message(message: Fields) -> tuple[str, int]:
    """→ its text as it counts, and how many images it has."""
    message.only(_MESSAGE)
    role = message.needed_text("role")
    if role not in _PARTS:
        raise message.wrong_value(message.path("role"), role, tuple(_PARTS))
    content = message.get("content")
    pieces = [role, message.text("tool_plan", "") or ""]
    images = 0
    if isinstance(content, str):
        pieces.append(content)
    elif isinstance(content, list):
        for part in message.each("content"):
            text, image = _read_part(part, _PARTS[role])
            pieces.append(text)
            images += image
    elif content is not None:
        raise message.wrong_type(message.path("content"), "a string", content)
    elif not (role == "assistant" and message.get("tool_calls")):
        raise invalid(f"{message.path('content')} is required for a message of role {role}")
    if role == "tool":
        message.needed_text("tool_call_id")
    elif message.get("tool_call_id") is not None:
        raise invalid(f"{message.path('tool_call_id')} is only allowed in messages of role tool")
    for call in message.each("tool_calls"):
        call.needed_text("id")
        call.choice("type", ("function",))
        function = call.needed_inner("function")
        pieces.append(function.needed_text("name") + function.needed_text("arguments"))
    return "\n".join(pieces), images


def _read_part(part: Fields, supported: tuple[str, ...]) -> tuple[str, bool]:
    kind = part.needed_text("type")
    if kind not in supported:
        raise part.wrong_value(part.path("type"), kind, supported)
    if kind in ("text", "thinking"):
        return part.needed_text(kind), False
    inner = part.needed_inner(kind)
    if kind == "image_url":
        return inner.needed_text("url"), True
    return json.dumps(inner.values), False


def _text_of(message: Fields) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(part.get("text") or "" for part in content)
    return content or ""


def _check_calls(messages: list[Fields]) -> None:
    open_ids: set[str] = set()
    for message in messages:
        if message.get("role") == "tool":
            call_id = message.needed_text("tool_call_id")
            if call_id not in open_ids:
                raise invalid(f"tool call id {call_id} not found in previous tool calls")
            open_ids.discard(call_id)
            continue
        _check_answered(open_ids)
        open_ids = {call.needed_text("id") for call in message.each("tool_calls")}
    _check_answered(open_ids)


def _check_answered(open_ids: set[str]) -> None:
    if open_ids:
        raise invalid(f"missing tool results for tool call ids: {', '.join(sorted(open_ids))}")


def _read_tools(fields: Fields) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for tool in fields.each("tools"):
        if tool.needed_text("type") != "function":
            raise tool.wrong_value(tool.path("type"), tool.get("type"), ("function",))
        function = tool.needed_inner("function")
        function.only(frozenset({"name", "description", "parameters"}))
        name = function.needed_text("name")
        if _NAME.fullmatch(name) is None:
            raise invalid(f"{function.path('name')} contains characters other than letters, digits, '_' and '-'")
        parameters = function.inner("parameters")
        if parameters is not None and parameters.values and parameters.get("type") != "object":
            raise invalid(f"{function.path('parameters')}.type must be 'object'")
        tools.append(Tool("function", name, {} if parameters is None else parameters.values))
    return tuple(tools)


def _read_tool_choice(fields: Fields, tools: tuple[Tool, ...]) -> str:
    choice = fields.choice("tool_choice", ("REQUIRED", "NONE"))
    if choice is None:
        return "auto"
    if not tools:
        raise invalid("tool_choice is only allowed when tools are specified")
    return choice.lower()


def _read_format(fields: Fields, grounded: bool) -> dict[str, Any] | None:
    wanted = fields.inner("response_format")
    if wanted is None:
        return None
    wanted.only(frozenset({"type", "json_schema", "schema"}))
    if wanted.choice("type", ("text", "json_object"), "text") == "text":
        return None
    if grounded:
        raise invalid("response_format of type json_object is not supported with tools or documents")
    schema = wanted.inner("json_schema") or wanted.inner("schema")
    return {"properties": {"answer": {"type": "string"}}} if schema is None else schema.values


def _read_thinking(fields: Fields) -> bool:
    thinking = fields.inner("thinking")
    if thinking is None:
        return False
    thinking.only(frozenset({"type", "token_budget"}))
    thinking.whole("token_budget", 1)
    return thinking.choice("type", ("enabled", "disabled"), "enabled") == "enabled"


def _check_plain_fields(fields: Fields) -> None:
    fields.number("temperature", 0, 1)
    fields.number("p", 0.01, 0.99)
    fields.whole("k", 0, 500)
    fields.number("frequency_penalty", 0, 1)
    fields.number("presence_penalty", 0, 1)
    fields.whole("seed", 0)
    fields.choice("safety_mode", ("CONTEXTUAL", "STRICT", "OFF", "NONE"))
    fields.flag("strict_tools")
