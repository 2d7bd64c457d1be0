"""Reads a Responses request as strictly as OpenAI does."""

import re
from typing import Any, Final, cast

from tidegate.simulator.composition import Conversation, Tool
from tidegate.simulator.invention import estimate_tokens
from tidegate.simulator.openai.chat_request import billed_tier
from tidegate.simulator.openai.fields import Fields
from tidegate.simulator.openai.rejection import Rejection, wrong_type, wrong_value
from tidegate.simulator.openai.response_items import read_items
from tidegate.simulator.surface import Need

_KNOWN: Final = frozenset(
    """access_programs background context_management conversation image include input instructions max_output_tokens
    max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options
    temperature text tool_choice tools top_logprobs top_p truncation user""".split()
)
_TIERS: Final = ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SUMMARIES: Final = ("auto", "concise", "detailed")
_HOSTED: Final = (
    "web_search web_search_preview file_search code_interpreter image_generation mcp computer computer_use_preview "
    "local_shell shell apply_patch tool_search namespace"
).split()
_INCLUDES: Final = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_LEAST_LIMIT: Final = 16
_ITEM_TOKENS: Final = 4


class ResponseRequest(Conversation, kw_only=True):
    """What an answer depends on."""

    echoed: dict[str, Any]
    """Settings that the answer repeats."""
    summarizes: bool
    """Thoughts are told as a summary."""
    seals: bool
    """Thoughts are given encrypted, to be sent back."""
    top_logprobs: int | None
    needs: tuple[Need, ...]
    asked: list[dict[str, Any]]
    stored: bool
    background: bool


def read_response(fields: Fields, strict: bool) -> ResponseRequest:
    """Raises Rejection."""
    if strict:
        fields.only(_KNOWN)
    previous = fields.text("previous_response_id")
    background = fields.flag("background")
    if background and fields.get("store") is False:
        raise Rejection(400, "Background mode requires store to be enabled.", param="background")
    items = read_items(fields)
    instructions = fields.text("instructions")
    said = [f"{item.role or item.kind}\n{item.text}" for item in items]
    prompt = "\n".join([*([] if instructions is None else [f"system\n{instructions}"]), *said]).encode(
        "utf-8", "surrogatepass"
    )
    tools = _read_tools(fields)
    include = fields.texts("include")
    for index, name in enumerate(include):
        if name not in _INCLUDES:
            raise wrong_value(f"include[{index}]", name, _INCLUDES)
    reasoning = fields.inner("reasoning") or Fields({}, "reasoning")
    effort = reasoning.choice("effort", _EFFORTS)
    summary = reasoning.choice("summary", _SUMMARIES)
    limit = fields.whole("max_output_tokens", _LEAST_LIMIT)
    choice = _read_tool_choice(fields, tools)
    _check_plain_fields(fields)
    extra = sum(item.tokens for item in items) + _ITEM_TOKENS * len(items)
    return ResponseRequest(
        prompt=prompt,
        prompt_tokens=estimate_tokens(prompt) + extra,
        last_text=items[-1].text if items[-1].role else "",
        answers_tool=items[-1].kind.endswith("_output"),
        stream=fields.flag("stream"),
        limit=limit,
        stop=(),
        tools=tools,
        tool_choice=choice,
        parallel=fields.get("parallel_tool_calls") is None or fields.flag("parallel_tool_calls"),
        json_schema=_read_format(fields, prompt),
        thinks=(effort not in (None, "none")) or summary is not None,
        echoed=_echoed(fields, effort, summary),
        summarizes=summary is not None,
        seals="reasoning.encrypted_content" in include,
        top_logprobs=_read_logprobs(fields, include),
        needs=(
            *(() if previous is None else (Need("response", previous),)),
            *(item.needs for item in items if item.needs is not None),
            *_hosted(fields),
        ),
        asked=_asked(fields),
        stored=fields.get("store") is not False,
        background=background,
    )


def _hosted(fields: Fields) -> list[Need]:
    """What must be kept for the credential besides."""
    told = fields.get("conversation")
    name = told.get("id") if isinstance(told, dict) else told
    needs = [] if name is None else [Need("conversation", str(name))]
    for tool in fields.each("tools", longest=128):
        if tool.get("type") == "file_search":
            needs += [Need("vector_store", one) for one in tool.texts("vector_store_ids")]
        container = tool.get("container")
        if tool.get("type") == "code_interpreter" and isinstance(container, str):
            needs.append(Need("container", container))
    return needs


def _asked(fields: Fields) -> list[dict[str, Any]]:
    value = fields.get("input")
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": value}]}]
    return cast(list[dict[str, Any]], value)


def _check_plain_fields(fields: Fields) -> None:
    fields.number("temperature", 0, 2)
    fields.number("top_p", 0, 1)
    fields.choice("service_tier", _TIERS)
    fields.choice("truncation", ("auto", "disabled"))
    fields.whole("max_tool_calls", 1)
    metadata = fields.inner("metadata")
    for name, value in metadata.values.items() if metadata is not None else ():
        if not isinstance(value, str):
            raise wrong_type(f"metadata.{name}", "a string", value)
    for name in ("user", "safety_identifier", "prompt_cache_key"):
        fields.text(name)
    options = fields.inner("stream_options")
    if options is not None:
        if not fields.flag("stream"):
            text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise Rejection(400, text, param="stream_options")
        options.only(frozenset({"include_obfuscation"}))


def _read_tools(fields: Fields) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for tool in fields.each("tools", longest=128):
        kind = tool.needed_text("type")
        if kind in _HOSTED:
            continue
        if kind not in ("function", "custom"):
            raise wrong_value(tool.path("type"), kind, ("function", "custom", *_HOSTED))
        name = tool.needed_text("name")
        if _NAME.fullmatch(name) is None:
            at = tool.path("name")
            text = f"Invalid '{at}': string does not match pattern. Expected a string that matches '^[a-zA-Z0-9_-]+$'."
            raise Rejection(400, text, param=at, code="invalid_value")
        parameters = tool.inner("parameters")
        if parameters is not None and tool.flag("strict"):
            check_closed(parameters.values, f"function '{name}'", tool.path("parameters"))
        tools.append(
            Tool("custom" if kind == "custom" else "function", name, {} if parameters is None else parameters.values)
        )
    return tuple(tools)


def check_closed(schema: object, what: str, at: str) -> None:
    """A schema that is enforced names all that its objects hold, and requires it. Raises Rejection."""
    if isinstance(schema, list):
        for item in cast(list[object], schema):
            check_closed(item, what, at)
    if not isinstance(schema, dict):
        return
    fields = cast(dict[str, Any], schema)
    if fields.get("type") == "object":
        wrong = ""
        if fields.get("additionalProperties") is not False:
            wrong = "'additionalProperties' is required to be supplied and to be false."
        elif set(fields.get("properties", {})) - set(fields.get("required", [])):
            wrong = "'required' is required to be supplied and to be an array including every key in properties."
        if wrong:
            text = f"Invalid schema for {what}: In context=(), {wrong}"
            code = "invalid_function_parameters" if what.startswith("function") else "invalid_json_schema"
            raise Rejection(400, text, param=at, code=code)
    for item in fields.values():
        check_closed(item, what, at)


def _read_tool_choice(fields: Fields, tools: tuple[Tool, ...]) -> str:
    choice = fields.get("tool_choice")
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        found = fields.choice("tool_choice", ("none", "auto", "required")) or "auto"
        if found == "required" and not fields.get("tools"):
            text = "Tool choice 'required' must be specified with 'tools' parameter."
            raise Rejection(400, text, param="tool_choice")
        return found
    inner = fields.needed_inner("tool_choice")
    kind = inner.needed_text("type")
    if kind == "allowed_tools":
        inner.needed_items("tools")
        return inner.choice("mode", ("auto", "required"), "auto") or "auto"
    if kind in _HOSTED:
        return "auto"
    if kind not in ("function", "custom"):
        raise wrong_value("tool_choice.type", kind, ("function", "custom", "allowed_tools", *_HOSTED))
    name = inner.needed_text("name")
    if name not in {tool.name for tool in tools}:
        raise Rejection(400, f"Tool choice '{kind}' not found in 'tools' parameter.", param="tool_choice")
    return f"={name}"


def _read_format(fields: Fields, prompt: bytes) -> dict[str, Any] | None:
    text = fields.inner("text")
    if text is None:
        return None
    text.choice("verbosity", ("low", "medium", "high"))
    wanted = text.inner("format")
    if wanted is None:
        return None
    kind = wanted.needed_text("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise wrong_value("text.format.type", kind, ("text", "json_object", "json_schema"))
    if kind == "text":
        return None
    if kind == "json_object":
        if b"json" not in prompt.lower():
            message = (
                "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
                "'json_object'."
            )
            raise Rejection(400, message, param="input")
        return {"properties": {"answer": {"type": "string"}, "confidence": {"type": "number", "maximum": 1}}}
    name = wanted.needed_text("name")
    schema = wanted.needed_inner("schema").values
    if wanted.flag("strict"):
        check_closed(schema, f"response_format '{name}'", "text.format.schema")
    return schema


def _read_logprobs(fields: Fields, include: tuple[str, ...]) -> int | None:
    top = fields.whole("top_logprobs", 0, 20)
    return (top or 0) if "message.output_text.logprobs" in include else None


def _echoed(fields: Fields, effort: str | None, summary: str | None) -> dict[str, Any]:
    def given(name: str, default: Any) -> Any:
        value = fields.get(name)
        return default if value is None else value

    conversation = fields.get("conversation")
    named = {} if conversation is None else {"conversation": {"id": conversation}}
    return {
        **({"conversation": conversation} if isinstance(conversation, dict) else named),
        "background": fields.flag("background"),
        "frequency_penalty": 0.0,
        "instructions": fields.get("instructions"),
        "max_output_tokens": fields.get("max_output_tokens"),
        "max_tool_calls": fields.get("max_tool_calls"),
        "parallel_tool_calls": given("parallel_tool_calls", True),
        "presence_penalty": 0.0,
        "previous_response_id": fields.get("previous_response_id"),
        "prompt_cache_key": fields.get("prompt_cache_key"),
        "reasoning": {"effort": effort, "summary": summary},
        "safety_identifier": fields.get("safety_identifier"),
        "service_tier": billed_tier(given("service_tier", "auto")),
        "store": given("store", True),
        "temperature": given("temperature", 1.0),
        "text": {"format": {"type": "text"}, "verbosity": "medium", **given("text", {})},
        "tool_choice": given("tool_choice", "auto"),
        "tools": [_echoed_tool(tool) for tool in given("tools", [])],
        "top_logprobs": given("top_logprobs", 0),
        "top_p": given("top_p", 1.0),
        "truncation": given("truncation", "disabled"),
        "user": fields.get("user"),
        "metadata": given("metadata", {}),
    }


def _echoed_tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {"strict": True, "description": None, "parameters": None, **tool} if tool["type"] == "function" else tool
