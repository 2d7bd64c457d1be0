"""From the hub to Cohere's chat request.

Source: `v2.client.chat` and `types.chat_message_v2` of the official `cohere` SDK; `types.tool` for the grammar of names.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw

from tidegate.dialects.canon import (
    File,
    Image,
    Item,
    Message,
    Part,
    Reasoning,
    Refusal,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from tidegate.dialects.cohere.request_in import ORIGIN
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.fields import unsupported_field
from tidegate.dialects.hints import drop_hints
from tidegate.dialects.media import data_url
from tidegate.dialects.model_rules import effort_of
from tidegate.dialects.tool_names import rename_tools

Json = dict[str, Any]
_Naming = Callable[[str], str]

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_]|^[0-9]")
_LONGEST_NAME: Final = 64
_LEAST_P: Final = 0.01
_MOST_P: Final = 0.99
_HINTS: Final = ("verbosity", "user", "metadata", "prompt_cache_key")
_NO_TIERS: Final = frozenset((None, "auto", "default", "standard_only"))


def encode_request(request: Request, upstream: UpstreamModel) -> bytes:
    """The body. Raises UnreadableRequest."""
    naming = rename_tools(request, forbidden=_NOT_IN_NAMES, longest=_LONGEST_NAME)
    body: Json = {"model": upstream.name, "messages": _messages(request.items, naming), "stream": request.stream}
    drop_hints(request, "prompt_cache_breakpoint", "name", "is_error")
    _put(body, "max_tokens", request.max_output_tokens)
    _put(body, "temperature", request.temperature)
    _put(body, "seed", request.seed)
    _put(body, "k", request.top_k)
    if request.top_p is not None:
        body["p"] = min(max(request.top_p, _LEAST_P), _MOST_P)  # others allow 0 and 1, Cohere all that lies between
    if request.stop:
        body["stop_sequences"] = request.stop
    _penalties(body, request)
    _tools(body, request, naming)
    wanted = request.output_format
    if wanted is not None:
        told: Json = {"type": "json_object"}
        _put(told, "json_schema", wanted.schema)
        body["response_format"] = told
    _thinking(body, request, upstream)
    _refuse(request)
    request.dropped += [request.called(name) for name in _HINTS if getattr(request, name) is not None]
    return msgspec.json.encode(body)


def _put(body: Json, name: str, value: object) -> None:
    if value is not None:
        body[name] = value


def _penalties(body: Json, request: Request) -> None:
    """Cohere has them from 0 to 1 alone."""
    for name in ("frequency_penalty", "presence_penalty"):
        value = getattr(request, name)
        if value is None:
            continue
        if 0 <= value <= 1:
            body[name] = value
        else:
            request.dropped.append(request.called(name))


def _refuse(request: Request) -> None:
    """What Cohere has not, and what the hub would not bring back."""
    for name in ("logit_bias", "logprobs"):
        if getattr(request, name) is not None:
            called = request.called(name)
            raise unsupported_field(called, f"`{called}` cannot be honoured by the upstream of this model.")
    if request.service_tier not in _NO_TIERS:
        called = request.called("service_tier")
        raise unsupported_field(called, f"`{called}`: the upstream has no tier `{request.service_tier}`.")


def _thinking(body: Json, request: Request, upstream: UpstreamModel) -> None:
    """Models that think have it in their name; the others reject the setting."""
    thinking = request.thinking
    if thinking is None:
        return
    effort = effort_of(thinking)
    if "reasoning" not in upstream.name:
        if effort != "none":
            request.dropped.append(request.called("thinking"))
    elif effort == "none":
        body["thinking"] = {"type": "disabled"}
    else:
        body["thinking"] = {"type": "enabled"}
        _put(body["thinking"], "token_budget", thinking.budget_tokens)


def _tools(body: Json, request: Request, naming: _Naming) -> None:
    choice, tools = request.tool_choice, request.tools
    if not tools:
        return
    request.first_call_alone = request.parallel_tool_calls is False
    if choice is not None and choice.names:
        tools = [tool for tool in tools if tool.name in choice.names]  # of one tool, the choice is that tool
    body["tools"] = [_tool(tool, request, naming) for tool in tools]
    if any(tool.strict for tool in tools):
        body["strict_tools"] = True
    if choice is not None and choice.mode != "auto":
        body["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"


def _tool(tool: Tool, request: Request, naming: _Naming) -> Json:
    if tool.custom:
        name = request.called("tools")
        raise unsupported_field(name, f"`{name}`: Cohere has function tools alone, `{tool.name}` is a custom one.")
    function: Json = {"name": naming(tool.name)}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or Raw(b'{"type":"object","properties":{}}')
    return {"type": "function", "function": function}


# Messages.


def _messages(items: list[Item], naming: _Naming) -> list[Json]:
    messages: list[Json] = []
    for item in items:
        if isinstance(item, ToolResult):
            blocks = [_block(part) for part in item.parts] or [{"type": "text", "text": ""}]
            messages.append({"role": "tool", "tool_call_id": item.call_id, "content": blocks})
        elif isinstance(item, Message) and item.role != "assistant":
            role = "user" if item.role == "user" else "system"
            messages.append({"role": role, "content": _content([_block(part) for part in item.parts])})
        else:
            _assistant(messages, item, naming)
    for message in messages:
        if message["role"] == "assistant":
            _settle(message)
    return messages


def _assistant(messages: list[Json], item: Message | Reasoning | ToolCall, naming: _Naming) -> None:
    """What the assistant said between two others is one message here."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": list[Json]()})
    said = messages[-1]
    if isinstance(item, ToolCall):
        if item.custom:
            raise unsupported_field("messages", f"The history has a call of the custom tool `{item.name}`.")
        function = {"name": naming(item.name), "arguments": item.arguments}
        said.setdefault("tool_calls", []).append({"id": item.id, "type": "function", "function": function})
    elif isinstance(item, Message):
        said["content"] += [_block(part) for part in item.parts]
    elif item.text and item.origin == ORIGIN:
        said["content"].append({"type": "thinking", "thinking": item.text})


def _settle(message: Json) -> None:
    """Beside calls, a text is the plan of their use."""
    blocks: list[Json] = message.pop("content")
    if "tool_calls" in message:
        plan = "".join(block["text"] for block in blocks if block["type"] == "text")
        blocks = [block for block in blocks if block["type"] != "text"]
        if plan:
            message["tool_plan"] = plan
    if blocks:
        message["content"] = _content(blocks)
    elif "tool_calls" not in message:
        message["content"] = ""


def _content(blocks: list[Json]) -> str | list[Json]:
    if not blocks:
        return ""
    return blocks[0]["text"] if len(blocks) == 1 and blocks[0]["type"] == "text" else blocks


def _block(part: Part) -> Json:
    match part:
        case Text() | Refusal():
            return {"type": "text", "text": part.text}
        case Image() if not part.file_id:
            image: Json = {"url": part.url or data_url(part.media_type, part.data)}
            if part.detail in ("auto", "low", "high"):
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Image():
            raise unsupported_field("messages", "An image by `file_id` belongs to another provider: send its data.")
        case File() if part.text:
            return {"type": "text", "text": part.text}
        case _:
            raise unsupported_field("messages", "Cohere takes texts and pictures: no sounds, no documents.")
