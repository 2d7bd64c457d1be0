"""Reads a chat request as strictly as Mistral does.

Sources: `chatcompletionrequest` of the SDK `mistralai`; the order of messages and the forms of calls, as the package
`mistral-common` checks them.
"""

import json
import re
from typing import Any, Final

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Conversation, Tool
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.mistral.rejection import disordered
from tidegate.simulator.pydantic_fields import PydanticFields as Fields
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.signatures import is_ours

DIALECT: Final = "mistral"
"""Of signatures."""
_KNOWN: Final = frozenset(
    """model messages temperature top_p max_tokens stream stop random_seed metadata response_format tools tool_choice
    presence_penalty frequency_penalty min_tokens repetition_penalty top_k logprobs top_logprobs prompt_logprobs
    top_prompt_logprobs n prediction parallel_tool_calls reasoning_effort prompt_mode guardrails prompt_cache_key
    service_tier safe_prompt""".split()
)
_MESSAGE: Final = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
_MAY_FOLLOW: Final = {
    "system": ("system", "user", "assistant"),
    "user": ("system", "user", "assistant"),
    "assistant": ("system", "user", "assistant", "tool"),
    "tool": ("assistant", "tool"),
}
_CHUNKS: Final = ("text", "image_url", "document_url", "input_audio", "file", "reference", "tool_reference", "thinking")
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_CALL_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MEDIA_TOKENS: Final = 256
_MESSAGE_TOKENS: Final = 3


class ChatRequest(Conversation, kw_only=True):
    """What an answer depends on."""

    n: int


def read_chat(fields: Fields, behaviour: Behaviour) -> ChatRequest:
    """Raises Rejection."""
    if behaviour.strict:
        fields.only(_KNOWN)
    fields.needed_items("messages")
    messages = fields.each("messages")
    pieces: list[str] = []
    media = 0
    for message in messages:
        text, counted = _read_message(message)
        pieces.append(text)
        media += counted
    _check_order(messages)
    tools = _read_tools(fields)
    _check_plain_fields(fields)
    prompt = "\n".join(pieces).encode("utf-8", "surrogatepass")
    last = messages[-1]
    return ChatRequest(
        prompt=prompt,
        prompt_tokens=estimate_tokens(prompt) + _MESSAGE_TOKENS * len(messages) + media * _MEDIA_TOKENS,
        last_text=_text_of(last),
        answers_tool=last.get("role") == "tool",
        stream=fields.flag("stream"),
        limit=fields.whole("max_tokens", 0, behaviour.max_output_tokens),
        stop=_read_stop(fields),
        tools=tools,
        tool_choice=_read_tool_choice(fields),
        parallel=fields.get("parallel_tool_calls") is None or fields.flag("parallel_tool_calls"),
        json_schema=_read_format(fields),
        thinks=_thinks(fields),
        n=fields.whole("n", 1) or 1,
    )


def _read_message(message: Fields) -> tuple[str, int]:
    """→ its text as it counts, and how many pictures, documents and sounds it has."""
    role = message.needed_text("role")
    if role not in _MESSAGE:
        raise message.wrong_value(message.path("role"), role, tuple(_MESSAGE))
    message.only(_MESSAGE[role])
    content = message.get("content")
    pieces, media = [role], 0
    if isinstance(content, str):
        pieces.append(content)
    elif isinstance(content, list):
        for chunk in message.each("content"):
            text, counted = _read_chunk(chunk, role)
            pieces.append(text)
            media += counted
    elif content is not None:
        raise message.wrong_type(message.path("content"), "a string", content)
    calls = message.each("tool_calls")
    if role == "assistant" and not content and not calls:
        text = "Assistant message must have either content or tool_calls, but not none."
        raise Rejection(400, text, kind="invalid_request_assistant_message", code="3240")
    if content is None and role in ("system", "user"):
        raise message.missing(message.path("content"))
    message.flag("prefix")
    if role == "tool":
        _check_call_id(message.text("tool_call_id"))
        message.text("name")
    pieces += [_read_call(call) for call in calls]
    return "\n".join(pieces), media


def _read_chunk(chunk: Fields, role: str) -> tuple[str, bool]:
    kind = chunk.text("type", "text") or "text"
    if kind not in _CHUNKS:
        raise chunk.wrong_value(chunk.path("type"), kind, _CHUNKS)
    if kind == "text":
        chunk.only(frozenset({"type", "text"}))
        return chunk.needed_text("text"), False
    if kind == "thinking":
        return _read_thought(chunk, role), False
    return json.dumps(chunk.values), role == "user"


def _read_thought(chunk: Fields, role: str) -> str:
    if role not in ("assistant", "system"):
        raise chunk.wrong_value(chunk.path("type"), "thinking", _CHUNKS[:-1])
    chunk.only(frozenset({"type", "thinking", "signature", "closed"}))
    text = "".join(piece.text("text", "") or "" for piece in chunk.each("thinking"))
    signature = chunk.text("signature")
    if signature is not None and not is_ours(DIALECT, signature, text):
        raise Rejection(400, "Invalid signature of a thinking chunk.")
    return text


def _read_call(call: Fields) -> str:
    call.only(frozenset({"id", "type", "function", "index"}))
    _check_call_id(call.text("id"))
    call.choice("type", ("function",))
    function = call.needed_inner("function")
    function.only(frozenset({"name", "arguments"}))
    arguments = function.get("arguments")
    if not isinstance(arguments, str | dict):
        raise function.wrong_type(function.path("arguments"), "a string", arguments)
    told = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return _checked_name(function.needed_text("name")) + told


def _check_call_id(name: str | None) -> None:
    if name is None:
        raise disordered("Tool call id has to be defined.")
    if _CALL_ID.fullmatch(name) is None:
        raise Rejection(400, f"Tool call id was {name} but must be a-z, A-Z, 0-9, with a length of 9.")


def _checked_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        text = f"Function name was {name} but must be a-z, A-Z, 0-9, or contain underscores and dashes"
        raise Rejection(400, f"{text}, with a maximum length of 64.", kind="invalid_function_name", code="3290")
    return name


def _check_order(messages: list[Fields]) -> None:
    before = ""
    open_ids: list[str] = []
    for message in messages:
        role = message.needed_text("role")
        if before and role not in _MAY_FOLLOW[before]:
            raise disordered(f"Unexpected role '{role}' after role '{before}'")
        if role == "tool":
            _close(open_ids, message.needed_text("tool_call_id"), before)
        else:
            _check_closed(open_ids)
            open_ids = [call.needed_text("id") for call in message.each("tool_calls")]
        before = role
    _check_closed(open_ids)
    if before == "assistant" and not messages[-1].flag("prefix"):
        raise disordered(
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
        )
    if before == "system":
        raise disordered("Expected last role User or Tool (or Assistant with prefix True) for serving but got system")


def _close(open_ids: list[str], name: str, before: str) -> None:
    if not before:
        raise disordered("Unexpected role 'tool' at the beginning of the conversation")
    if not open_ids:
        raise disordered("Not the same number of function calls and responses")
    if name not in open_ids:
        raise disordered(f"Unexpected tool call id {name} in tool results")
    open_ids.remove(name)


def _check_closed(open_ids: list[str]) -> None:
    if open_ids:
        raise disordered("Not the same number of function calls and responses")


def _text_of(message: Fields) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(chunk.text("text", "") or "" for chunk in message.each("content"))
    return content or ""


def _read_tools(fields: Fields) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for tool in fields.each("tools"):
        tool.only(frozenset({"type", "function"}))
        tool.choice("type", ("function",))
        function = tool.needed_inner("function")
        function.only(frozenset({"name", "description", "strict", "parameters"}))
        name = _checked_name(function.needed_text("name"))
        tools.append(Tool("function", name, function.needed_inner("parameters").values))
    return tuple(tools)


def _read_tool_choice(fields: Fields) -> str:
    if isinstance(fields.get("tool_choice"), dict):
        return f"={fields.needed_inner('tool_choice').needed_inner('function').needed_text('name')}"
    choice = fields.choice("tool_choice", ("auto", "none", "any", "required"), "auto") or "auto"
    return "required" if choice == "any" else choice


def _read_stop(fields: Fields) -> tuple[str, ...]:
    stop = fields.get("stop")
    return (stop,) if isinstance(stop, str) else fields.texts("stop")


def _read_format(fields: Fields) -> dict[str, Any] | None:
    wanted = fields.inner("response_format")
    if wanted is None:
        return None
    wanted.only(frozenset({"type", "json_schema"}))
    kind = wanted.choice("type", ("text", "json_object", "json_schema"), "text")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"properties": {"answer": {"type": "string"}}}
    schema = wanted.needed_inner("json_schema")
    schema.only(frozenset({"name", "schema", "description", "strict"}))
    schema.needed_text("name")
    return schema.needed_inner("schema").values


def _thinks(fields: Fields) -> bool:
    effort = fields.choice("reasoning_effort", _EFFORTS)
    return fields.choice("prompt_mode", ("reasoning",)) is not None or effort not in (None, "none")


def _check_plain_fields(fields: Fields) -> None:
    fields.number("temperature", 0, 1.5)
    fields.number("top_p", 0, 1)
    fields.number("presence_penalty", -2, 2)
    fields.number("frequency_penalty", -2, 2)
    fields.whole("top_k", 0)
    fields.whole("random_seed", 0)
    fields.whole("min_tokens", 0)
    fields.choice("service_tier", ("auto", "standard_only"))
    fields.flag("safe_prompt")
    fields.inner("metadata")
    fields.text("prompt_cache_key")
