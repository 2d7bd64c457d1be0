"""From the hub to Ollama's `/api/chat`.

Source: `ChatRequest`, `Options` of the official `ollama` SDK; the server's `api/types.go`.
"""

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
    ToolCall,
    ToolResult,
)
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.fields import unsupported_field
from tidegate.dialects.hints import drop_hints
from tidegate.dialects.model_rules import effort_of
from tidegate.dialects.ollama.request_in import ORIGIN
from tidegate.dialects.remote import NeedsBytes

Json = dict[str, Any]

_OPTIONS: Final = ("temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty")
_LEVELS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_HINTS: Final = ("verbosity", "user", "metadata", "prompt_cache_key")
_NO_TIERS: Final = frozenset((None, "auto", "default", "standard_only"))


def encode_request(request: Request, upstream: UpstreamModel) -> bytes:
    """The body. `stream` is always said: Ollama streams unless told otherwise. Raises UnreadableRequest."""
    body: Json = {"model": upstream.name, "messages": _messages(request.items), "stream": request.stream}
    drop_hints(request, "prompt_cache_breakpoint", "name", "detail", "is_error", "strict")
    options: Json = {name: value for name in _OPTIONS if (value := getattr(request, name)) is not None}
    if request.max_output_tokens is not None:
        options["num_predict"] = request.max_output_tokens
    if request.stop:
        options["stop"] = request.stop
    if options:
        body["options"] = options
    wanted = request.output_format
    if wanted is not None:
        body["format"] = "json" if wanted.kind == "json_object" or wanted.schema is None else wanted.schema
    _tools(body, request)
    _thinking(body, request, upstream)
    _refuse(request)
    request.dropped += [request.called(name) for name in _HINTS if getattr(request, name) is not None]
    return msgspec.json.encode(body)


def _refuse(request: Request) -> None:
    """What Ollama has not, and what the hub would not bring back."""
    for name in ("logit_bias", "logprobs"):
        if getattr(request, name) is not None:
            called = request.called(name)
            raise unsupported_field(called, f"`{called}` cannot be honoured by the upstream of this model.")
    if request.service_tier not in _NO_TIERS:
        called = request.called("service_tier")
        raise unsupported_field(called, f"`{called}`: the upstream has no tier `{request.service_tier}`.")


def _thinking(body: Json, request: Request, upstream: UpstreamModel) -> None:
    """gpt-oss takes levels, every other model yes or no."""
    if request.thinking is None:
        return
    effort = effort_of(request.thinking)
    if effort == "none":
        body["think"] = False
    elif effort is not None and upstream.name.rpartition("/")[2].startswith("gpt-oss"):
        body["think"] = _LEVELS[effort]
    elif effort is not None or request.thinking.adaptive:
        body["think"] = True


def _tools(body: Json, request: Request) -> None:
    choice, tools = request.tool_choice, request.tools
    called = request.called("tool_choice")
    if choice is not None and tools:
        if choice.mode in ("required", "tool"):
            raise unsupported_field(called, f"`{called}`: Ollama cannot be made to call a tool. Leave it out.")
        tools = [tool for tool in tools if choice.mode == "auto" and (not choice.names or tool.name in choice.names)]
    if not tools:
        return
    request.first_call_alone = request.parallel_tool_calls is False
    offered: list[Json] = []
    for tool in tools:
        if tool.custom:
            name = request.called("tools")
            raise unsupported_field(name, f"`{name}`: Ollama has function tools alone, `{tool.name}` is a custom one.")
        function: Json = {"name": tool.name}
        if tool.description:
            function["description"] = tool.description
        function["parameters"] = tool.parameters or Raw(b'{"type":"object","properties":{}}')
        offered.append({"type": "function", "function": function})
    body["tools"] = offered


# Messages.


def _messages(items: list[Item]) -> list[Json]:
    names = {item.id: item.name for item in items if isinstance(item, ToolCall)}
    messages: list[Json] = []
    for item in items:
        if isinstance(item, ToolResult):
            result = _with_parts("tool", item.parts)
            result["tool_name"] = item.name or names.get(item.call_id, "")
            result["tool_call_id"] = item.call_id
            messages.append(result)
        elif isinstance(item, Message) and item.role != "assistant":
            messages.append(_with_parts("user" if item.role == "user" else "system", item.parts))
        else:
            _assistant(messages, item)
    return messages


def _assistant(messages: list[Json], item: Message | Reasoning | ToolCall) -> None:
    """What the assistant said between two others is one message here."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": ""})
    said = messages[-1]
    if isinstance(item, ToolCall):
        call = {"id": item.id, "function": {"name": item.name, "arguments": Raw(item.arguments.encode())}}
        if item.custom:
            raise unsupported_field("messages", f"The history has a call of the custom tool `{item.name}`.")
        said.setdefault("tool_calls", []).append(call)
    elif isinstance(item, Message):
        more = _with_parts("assistant", item.parts)
        said["content"] += more["content"]
        if "images" in more:
            said.setdefault("images", []).extend(more["images"])
    elif item.text and item.origin in (ORIGIN, ""):
        said["thinking"] = said.get("thinking", "") + item.text


def _with_parts(role: str, parts: list[Part]) -> Json:
    texts: list[str] = []
    images: list[str] = []
    for part in parts:
        match part:
            case Text() | Refusal():
                texts.append(part.text)
            case Image() if part.data:
                images.append(part.data)
            case Image():
                refused = unsupported_field("messages", "Ollama fetches no pictures: send the picture's data.")
                raise NeedsBytes(refused.problem, Image) if part.url else refused
            case File() if part.text:
                texts.append(part.text)
            case _:
                raise unsupported_field("messages", "Ollama takes texts and pictures: no sounds, no documents.")
    message: Json = {"role": role, "content": "".join(texts)}
    if images:
        message["images"] = images
    return message
