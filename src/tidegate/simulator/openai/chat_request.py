"""Reads a chat completion request as strictly as OpenAI does."""

import json
from typing import Any, Final

from tidegate.simulator.composition import Conversation, Tool
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.openai.fields import Fields, as_fields
from tidegate.simulator.openai.rejection import Rejection, missing, wrong_type, wrong_value

_ROLES: Final = ("system", "assistant", "user", "function", "tool", "developer")
_PARTS: Final = ("text", "image_url", "input_audio", "refusal", "file")
_TIERS: Final = ("auto", "default", "flex", "scale", "priority", "fast")
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_KNOWN: Final = frozenset(
    """audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages
    metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier
    stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity
    web_search_options""".split()
)
_MESSAGE_TOKENS: Final = 4
_IMAGE_TOKENS: Final = 255


class ChatRequest(Conversation, kw_only=True):
    """What an answer depends on."""

    include_usage: bool
    obfuscation: bool
    n: int
    legacy_functions: bool
    top_logprobs: int | None
    """None: no log probabilities."""
    service_tier: str


def read_chat(fields: Fields, strict: bool) -> ChatRequest:
    """Raises Rejection."""
    if strict:
        fields.only(_KNOWN)
    messages = [as_fields(item, f"messages[{index}]") for index, item in enumerate(fields.needed_items("messages"))]
    prompt = b"\n".join(_read_message(message) for message in messages)
    _check_tool_turns(messages)
    _check_plain_fields(fields)
    stream = fields.flag("stream")
    options = _read_stream_options(fields, stream)
    tools, legacy = _read_tools(fields)
    images = prompt.count(b"\0image\0")
    last = messages[-1]
    return ChatRequest(
        prompt=prompt,
        prompt_tokens=estimate_tokens(prompt) + _MESSAGE_TOKENS * len(messages) + images * _IMAGE_TOKENS,
        last_text=_text_of(last),
        answers_tool=last.get("role") in ("tool", "function"),
        stream=stream,
        include_usage=options.flag("include_usage"),
        obfuscation=options.get("include_obfuscation") is not False,
        n=fields.whole("n", 1, 128) or 1,
        limit=_read_limit(fields),
        stop=fields.stop(),
        tools=tools,
        legacy_functions=legacy,
        tool_choice=_read_tool_choice(fields, tools, legacy),
        parallel=(fields.get("parallel_tool_calls") is None or fields.flag("parallel_tool_calls")) and not legacy,
        json_schema=_read_format(fields, prompt),
        top_logprobs=_read_logprobs(fields),
        service_tier=billed_tier(fields.choice("service_tier", _TIERS, "auto") or "auto"),
    )


def _read_message(message: Fields) -> bytes:
    role = message.needed_text("role")
    if role not in _ROLES:
        raise wrong_value(message.path("role"), role, _ROLES)
    content = message.get("content")
    pieces = [role]
    if isinstance(content, str):
        pieces.append(content)
    elif isinstance(content, list):
        pieces.extend(_read_part(as_fields(part, message.path(f"content[{i}]"))) for i, part in enumerate(content))
    elif content is not None:
        raise wrong_type(message.path("content"), "one of a string or array of objects", content)
    elif role != "assistant" or not (message.get("tool_calls") or message.get("function_call") or message.get("audio")):
        raise wrong_type(message.path("content"), "a string", None)
    if role == "tool" and message.text("tool_call_id") is None:
        raise missing(message.path("tool_call_id"))
    for index, call in enumerate(message.items("tool_calls") or []):
        pieces.append(_read_call(as_fields(call, message.path(f"tool_calls[{index}]"))))
    return "\n".join(pieces).encode()


def _read_part(part: Fields) -> str:
    kind = part.needed_text("type")
    if kind not in _PARTS:
        raise wrong_value(part.path("type"), kind, _PARTS)
    if kind in ("text", "refusal"):
        return part.needed_text(kind)
    inner = part.needed_inner(kind)
    if kind == "image_url":
        return f"\0image\0{inner.needed_text('url')}"
    return json.dumps(inner.values)


def _read_call(call: Fields) -> str:
    call.needed_text("id")
    kind = call.choice("type", ("function", "custom"), "function") or "function"
    inner = call.needed_inner(kind)
    return inner.needed_text("name") + (inner.text("arguments" if kind == "function" else "input", "") or "")


def _check_tool_turns(messages: list[Fields]) -> None:
    """Each tool call is answered by a tool message right behind it, and each tool message answers one."""
    open_ids: set[str] = set()
    for index, message in enumerate(messages):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in open_ids:
                text = (
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                    "'tool_calls'."
                )
                raise Rejection(400, text, param=f"messages.[{index}].role")
            open_ids.discard(message.get("tool_call_id"))
            continue
        _check_answered(open_ids, index)
        open_ids = {call["id"] for call in message.get("tool_calls") or []}
    _check_answered(open_ids, len(messages))


def _check_answered(open_ids: set[str], index: int) -> None:
    if open_ids:
        listed = ", ".join(sorted(open_ids))
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {listed}"
        )
        raise Rejection(400, text, param=f"messages.[{index}].role")


def _text_of(message: Fields) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(part.get("text") or "" for part in content)
    return content or ""


def _check_plain_fields(fields: Fields) -> None:
    """Fields that are checked and change nothing here."""
    fields.number("temperature", 0, 2)
    fields.number("top_p", 0, 1)
    fields.number("frequency_penalty", -2, 2)
    fields.number("presence_penalty", -2, 2)
    fields.whole("seed", -(2**63), 2**63 - 1)
    fields.inner("logit_bias")
    metadata = fields.inner("metadata")
    for name, value in metadata.values.items() if metadata is not None else ():
        if not isinstance(value, str):
            raise wrong_type(f"metadata.{name}", "a string", value)
    fields.choice("reasoning_effort", _EFFORTS)
    fields.choice("verbosity", ("low", "medium", "high"))
    fields.text("user")
    fields.flag("store")


def _read_stream_options(fields: Fields, stream: bool) -> Fields:
    options = fields.inner("stream_options")
    if options is None:
        return Fields({})
    if not stream:
        text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Rejection(400, text, param="stream_options")
    options.only(frozenset({"include_usage", "include_obfuscation"}))
    return options


def _read_limit(fields: Fields) -> int | None:
    old, new = fields.whole("max_tokens", 1), fields.whole("max_completion_tokens", 1)
    if old is not None and new is not None:
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise Rejection(400, text, param="max_tokens", code="invalid_parameter_combination")
    return old if new is None else new


def _read_tools(fields: Fields) -> tuple[tuple[Tool, ...], bool]:
    """→ the tools, and whether they came as the deprecated `functions`."""
    tools: list[Tool] = []
    for index, item in enumerate(fields.items("tools", longest=128) or []):
        tool = as_fields(item, f"tools[{index}]")
        kind = tool.needed_text("type")
        if kind not in ("function", "custom"):
            raise wrong_value(tool.path("type"), kind, ("function", "custom"))
        inner = tool.needed_inner(kind)
        parameters = inner.inner("parameters")
        name = inner.needed_text("name")
        tools.append(
            Tool("custom" if kind == "custom" else "function", name, {} if parameters is None else parameters.values)
        )
    if tools:
        return tuple(tools), False
    for index, item in enumerate(fields.items("functions", longest=128) or []):
        function = as_fields(item, f"functions[{index}]")
        parameters = function.inner("parameters")
        tools.append(Tool("function", function.needed_text("name"), {} if parameters is None else parameters.values))
    return tuple(tools), bool(tools)


def _read_tool_choice(fields: Fields, tools: tuple[Tool, ...], legacy: bool) -> str:
    name = "function_call" if legacy else "tool_choice"
    choice = fields.get(name)
    if choice is None:
        return "auto"
    if not tools:
        text = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
        raise Rejection(400, text, param=name)
    if isinstance(choice, str):
        return fields.choice(name, ("none", "auto", "required")) or "auto"
    return _read_chosen(as_fields(choice, name), tools, legacy)


def _read_chosen(choice: Fields, tools: tuple[Tool, ...], legacy: bool) -> str:
    if legacy:
        wanted = choice.needed_text("name")
    else:
        kind = choice.needed_text("type")
        if kind == "allowed_tools":
            return choice.needed_inner(kind).choice("mode", ("auto", "required"), "auto") or "auto"
        if kind not in ("function", "custom"):
            raise wrong_value(choice.path("type"), kind, ("function", "allowed_tools", "custom"))
        wanted = choice.needed_inner(kind).needed_text("name")
    if wanted not in {tool.name for tool in tools}:
        text = f"Tool choice '{wanted}' not found in 'tools' parameter."
        raise Rejection(400, text, param=choice.at)
    return f"={wanted}"


def _read_format(fields: Fields, prompt: bytes) -> dict[str, Any] | None:
    wanted = fields.inner("response_format")
    if wanted is None:
        return None
    kind = wanted.needed_text("type")
    if kind not in ("json_object", "json_schema", "text"):
        raise wrong_value("response_format.type", kind, ("json_object", "json_schema", "text"))
    if kind == "text":
        return None
    if kind == "json_object":
        if b"json" not in prompt.lower():
            text = (
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            )
            raise Rejection(400, text, param="messages")
        return {"properties": {"answer": {"type": "string"}, "confidence": {"type": "number", "maximum": 1}}}
    schema = wanted.needed_inner("json_schema")
    schema.needed_text("name")
    found = schema.inner("schema")
    return {"type": "object"} if found is None else found.values


def _read_logprobs(fields: Fields) -> int | None:
    wanted, top = fields.flag("logprobs"), fields.whole("top_logprobs", 0, 20)
    if top is not None and not wanted:
        text = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        raise Rejection(400, text, param="top_logprobs")
    return (top or 0) if wanted else None


def billed_tier(asked: str) -> str:
    """What the answer says: the tier that served the call."""
    return {"auto": "default", "fast": "priority"}.get(asked, asked)
