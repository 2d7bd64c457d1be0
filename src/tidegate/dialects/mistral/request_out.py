"""From the hub to Mistral's chat request.

Source: `chatcompletionrequest` and the messages' types of the official `mistralai` SDK; tools' names and calls' ids as
`mistral-common` checks them.
"""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.dialects.canon import Item, Message, Part, Reasoning, Request, Text, Tool, ToolCall, ToolResult
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.fields import unsupported_field
from tidegate.dialects.hints import drop_hints
from tidegate.dialects.mistral.content import ORIGIN, Json, chunk_of, thought_chunk
from tidegate.dialects.model_rules import effort_of, takes_effort
from tidegate.dialects.tool_names import rename_tools

_Naming = Callable[[str], str]

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME: Final = 64
_CALL_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")
_TIERS: Final = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_NOTED: Final = "OK"
"""Said for the assistant between a tool's result and what the user says next: Mistral refuses both side by side (3230)."""
_SAME: Final = ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "prompt_cache_key")


def encode_request(request: Request, upstream: UpstreamModel) -> bytes:
    """The body. A stream reports its usage without being asked to. Raises UnreadableRequest."""
    naming = rename_tools(request, forbidden=_NOT_IN_NAMES, longest=_LONGEST_NAME)
    body: Json = {"model": upstream.name, "messages": _messages(request.items, naming)}
    drop_hints(request, "prompt_cache_breakpoint", "name", "is_error")
    for name in _SAME:
        _put(body, name, getattr(request, name))
    _put(body, "max_tokens", request.max_output_tokens)
    _put(body, "random_seed", request.seed)
    if request.stop:
        body["stop"] = request.stop
    for absent in ("logit_bias", "logprobs"):  # Mistral has no biases; the hub would not bring probabilities back
        if getattr(request, absent) is not None:
            name = request.called(absent)
            raise unsupported_field(name, f"`{name}` cannot be honoured by the upstream of this model.")
    _output_format(body, request)
    _tools(body, request, naming)
    _hints(body, request, upstream)
    if request.stream:
        body["stream"] = True
    return msgspec.json.encode(body)


def _put(body: Json, name: str, value: object) -> None:
    if value is not None:
        body[name] = value


def _hints(body: Json, request: Request, upstream: UpstreamModel) -> None:
    effort = effort_of(request.thinking)
    if effort is not None:
        if takes_effort(upstream.name) or "reasoning-effort" in upstream.quirks:
            body["reasoning_effort"] = effort
        elif effort != "none":
            request.dropped.append(request.called("thinking"))
    if request.service_tier is not None:
        tier = _TIERS.get(request.service_tier)
        if tier is None:
            name = request.called("service_tier")
            raise unsupported_field(name, f"`{name}`: Mistral has no tier `{request.service_tier}`.")
        body["service_tier"] = tier
    for name in ("verbosity", "user", "metadata"):
        if getattr(request, name) is not None:
            request.dropped.append(request.called(name))


def _output_format(body: Json, request: Request) -> None:
    wanted = request.output_format
    if wanted is None:
        return
    if wanted.kind == "json_object" or wanted.schema is None:
        body["response_format"] = {"type": "json_object"}
        return
    schema: Json = {"name": wanted.name or "answer", "schema": wanted.schema}
    _put(schema, "strict", wanted.strict)
    if wanted.description:
        schema["description"] = wanted.description
    body["response_format"] = {"type": "json_schema", "json_schema": schema}


def _tools(body: Json, request: Request, naming: _Naming) -> None:
    if not request.tools:
        return
    choice = request.tool_choice
    tools = request.tools
    if choice is not None and choice.mode != "tool" and choice.names:
        tools = [tool for tool in tools if tool.name in choice.names]  # it has no list of allowed tools
    body["tools"] = [_tool(tool, request, naming) for tool in tools]
    if choice is not None and choice.mode == "tool":
        body["tool_choice"] = {"type": "function", "function": {"name": naming(choice.names[0])}}
    elif choice is not None:
        body["tool_choice"] = "any" if choice.mode == "required" else choice.mode
    _put(body, "parallel_tool_calls", request.parallel_tool_calls)


def _tool(tool: Tool, request: Request, naming: _Naming) -> Json:
    if tool.custom:
        name = request.called("tools")
        raise unsupported_field(name, f"`{name}`: Mistral has function tools alone, `{tool.name}` is a custom one.")
    function: Json = {"name": naming(tool.name)}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or Raw(b'{"type":"object","properties":{}}')
    _put(function, "strict", tool.strict)
    return {"type": "function", "function": function}


# Messages.


def _messages(items: list[Item], naming: _Naming) -> list[Json]:
    messages: list[Json] = []
    for item in items:
        if isinstance(item, ToolResult):
            messages.append(_result(item, naming))
        elif isinstance(item, Message) and item.role != "assistant":
            if messages and messages[-1]["role"] == "tool":
                messages.append({"role": "assistant", "content": [{"type": "text", "text": _NOTED}]})
            role = "user" if item.role == "user" else "system"
            messages.append({"role": role, "content": _content(item.parts)})
        else:
            _assistant(messages, item, naming)
    for message in messages:
        if message["role"] == "assistant":
            message["content"] = _joined(message["content"])
    if messages and messages[-1]["role"] == "assistant":
        messages[-1]["prefix"] = True  # a last word of the assistant is rejected unless it says that it is a beginning
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
        said.setdefault("tool_calls", []).append({"id": call_id(item.id), "type": "function", "function": function})
    elif isinstance(item, Message):
        said["content"] += [chunk_of(part) for part in item.parts]
    elif item.origin == ORIGIN:
        said["content"].append(thought_chunk(item))  # models that do not think reject thoughts; these thought it


def _joined(chunks: list[Json]) -> str | list[Json]:
    if all(chunk["type"] == "text" for chunk in chunks):
        return "".join(chunk["text"] for chunk in chunks)
    return chunks


def _result(result: ToolResult, naming: _Naming) -> Json:
    message: Json = {"role": "tool", "tool_call_id": call_id(result.call_id), "content": _content(result.parts)}
    if result.name:
        message["name"] = naming(result.name)
    return message


def _content(parts: list[Part]) -> str | list[Json]:
    if len(parts) <= 1 and all(isinstance(part, Text) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, Text))
    return [chunk_of(part) for part in parts]


def call_id(own: str) -> str:
    """Mistral takes ids of nine letters and digits alone; those of other providers become such, each always the same."""
    return own if _CALL_ID.fullmatch(own) else sha256(own.encode()).hexdigest()[:9]
