"""From the hub to an upstream's chat completions request.

Cache marks are dropped: an OpenAI upstream finds repeated prefixes by itself, and only its newest models take breakpoints.

Source: `openai.types.chat.completion_create_params` of the official SDK.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from tidegate.dialects.canon import (
    Audio,
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
    ToolChoice,
    ToolResult,
)
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.fields import unsupported_field
from tidegate.dialects.hints import drop_hints
from tidegate.dialects.media import data_url
from tidegate.dialects.model_rules import effort_of, nearest_effort, signs_calls, takes_effort, takes_samplers
from tidegate.dialects.pseudonym import pseudonym
from tidegate.dialects.remote import NeedsBytes
from tidegate.dialects.tool_names import ANYTHING, OPENAI_FORBIDDEN, OPENAI_LONGEST, legal_id, rename_tools

Json = dict[str, Any]

Naming = Callable[[str], str]

_TIERS = frozenset(("auto", "default", "flex", "scale", "priority", "fast"))
_LONGEST_ID = 40
"""Of a tool call: chat completions refuse a longer one (`string_above_max_length`), Responses take more."""


def encode_request(request: Request, upstream: UpstreamModel) -> bytes:
    """The body. Raises UnreadableRequest."""
    naming = rename_tools(request, forbidden=OPENAI_FORBIDDEN, longest=OPENAI_LONGEST)
    body: Json = {"model": upstream.name, "messages": _messages(request.items, signs_calls(upstream.name), naming)}
    drop_hints(request, "prompt_cache_breakpoint", "is_error")
    quirks = upstream.quirks
    _put(body, "max_tokens" if "max-tokens" in quirks else "max_completion_tokens", request.max_output_tokens)
    _samplers(body, request, upstream)
    if request.stop:
        body["stop"] = request.stop
    _put(body, "seed", request.seed)
    _put(body, "logit_bias", request.logit_bias)
    if request.logprobs is not None:
        name = request.called("logprobs")
        raise unsupported_field(
            name, f"`{name}`: probabilities of the upstream's dialect cannot be told in the client's."
        )
    if request.top_k is not None:
        if "top-k" in quirks:
            body["top_k"] = request.top_k
        else:
            request.dropped.append(request.called("top_k"))
    _output_format(body, request)
    _thinking(body, request, upstream)
    _tools(body, request, naming)
    _hints(body, request)
    if request.stream:
        body["stream"] = True
        if "no-stream-usage" not in quirks:
            body["stream_options"] = {"include_usage": True}
    return msgspec.json.encode(body)


def _put(body: Json, name: str, value: object) -> None:
    if value is not None:
        body[name] = value


def _samplers(body: Json, request: Request, upstream: UpstreamModel) -> None:
    for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty"):
        value = getattr(request, name)
        if value is None:
            continue
        if takes_samplers(upstream.name):
            body[name] = value
        else:
            request.dropped.append(request.called(name))


def _output_format(body: Json, request: Request) -> None:
    wanted = request.output_format
    if wanted is None:
        return
    if wanted.kind == "json_object":
        body["response_format"] = {"type": "json_object"}
        return
    schema: Json = {"name": wanted.name or "answer"}
    _put(schema, "schema", wanted.schema)
    _put(schema, "strict", wanted.strict)
    if wanted.description:
        schema["description"] = wanted.description
    body["response_format"] = {"type": "json_schema", "json_schema": schema}


def _thinking(body: Json, request: Request, upstream: UpstreamModel) -> None:
    effort = effort_of(request.thinking)
    if effort is None:
        return
    if takes_effort(upstream.name) or "reasoning-effort" in upstream.quirks:
        body["reasoning_effort"] = nearest_effort(upstream.name, effort)
    elif effort != "none":
        request.dropped.append(request.called("thinking"))


def _hints(body: Json, request: Request) -> None:
    if request.service_tier is not None:
        if request.service_tier not in _TIERS:
            name = request.called("service_tier")
            raise unsupported_field(name, f"`{name}`: the upstream has no tier `{request.service_tier}`.")
        body["service_tier"] = request.service_tier
    _put(body, "verbosity", request.verbosity)
    _put(body, "prompt_cache_key", request.prompt_cache_key)
    if request.user is not None:
        body["user"] = pseudonym(request.user)
    if request.metadata is not None:
        request.dropped.append(request.called("metadata"))


# Messages.


def _messages(items: list[Item], signed: bool, naming: Naming) -> list[Json]:
    messages: list[Json] = []
    waiting: list[Part] = []
    for item in items:
        if waiting and not isinstance(item, ToolResult):
            messages.append({"role": "user", "content": [_part(part) for part in waiting]})
            waiting = []
        if isinstance(item, ToolResult):
            messages.append({"role": "tool", "tool_call_id": _id(item.call_id), "content": _result(item, waiting)})
        elif isinstance(item, Message) and item.role != "assistant":
            messages.append(_spoken(item))
        else:
            _assistant(messages, item, signed, naming)
    if waiting:
        messages.append({"role": "user", "content": [_part(part) for part in waiting]})
    return messages


def _spoken(message: Message) -> Json:
    spoken: Json = {"role": message.role, "content": _content(message.parts)}
    if message.name:
        spoken["name"] = message.name
    return spoken


def _assistant(messages: list[Json], item: Message | Reasoning | ToolCall, signed: bool, naming: Naming) -> None:
    """What the assistant said between two others is one message here."""
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant"})
    said = messages[-1]
    if isinstance(item, Reasoning):
        return  # no standard field takes it, and upstreams reject fields that they do not know
    if isinstance(item, ToolCall):
        said.setdefault("tool_calls", []).append(_call(item, signed, naming))
        return
    refusals = [part.text for part in item.parts if isinstance(part, Refusal)]
    parts: list[Part] = [part for part in item.parts if not isinstance(part, Refusal)]
    if refusals:
        said["refusal"] = "".join(refusals)
    if not parts:
        return
    content = _content(parts)
    before = said.get("content")
    if isinstance(before, str) and isinstance(content, str):
        said["content"] = before + content
    elif before is None:
        said["content"] = content
    else:
        said["content"] = _as_list(before) + _as_list(content)


def _as_list(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _call(call: ToolCall, signed: bool, naming: Naming) -> Json:
    """`signed`: the model is one that signs its calls and wants the proofs back."""
    if call.custom:
        return {
            "id": _id(call.id),
            "type": "custom",
            "custom": {"name": naming(call.name), "input": call.arguments},
        }
    encoded: Json = {
        "id": _id(call.id),
        "type": "function",
        "function": {"name": naming(call.name), "arguments": call.arguments},
    }
    if call.signature and signed:
        encoded["extra_content"] = {"google": {"thought_signature": call.signature}}
    return encoded


def _id(text: str) -> str:
    return legal_id(text, ANYTHING, _LONGEST_ID)


def _result(result: ToolResult, waiting: list[Part]) -> str | list[Json]:
    """A tool message takes text alone: pictures and documents follow in a user message behind the last result."""
    texts = [part for part in result.parts if isinstance(part, Text)]
    waiting.extend(part for part in result.parts if not isinstance(part, Text | Refusal))
    return _content([*texts])


def _content(parts: list[Part]) -> str | list[Json]:
    if all(isinstance(part, Text) for part in parts):
        texts = [part.text for part in parts if isinstance(part, Text)]
        if len(texts) <= 1:
            return "".join(texts)
    return [_part(part) for part in parts]


def _part(part: Part) -> Json:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            if part.file_id:
                raise unsupported_field("messages", "An image by `file_id` belongs to another provider: send its data.")
            image: Json = {"url": part.url or data_url(part.media_type, part.data)}
            if part.detail:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Audio():
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
        case File():
            return _file(part)
        case Refusal():
            return {"type": "text", "text": part.text}


def _file(file: File) -> Json:
    if file.text:
        return {"type": "text", "text": file.text}
    if not file.data:
        how = "a URL" if file.url else "`file_id`"
        refused = unsupported_field("messages", f"A document by {how} cannot be sent to this upstream: send its data.")
        raise NeedsBytes(refused.problem, File) if file.url else refused
    name = file.name or "document." + file.media_type.rpartition("/")[2]
    return {"type": "file", "file": {"filename": name, "file_data": data_url(file.media_type, file.data)}}


# Tools.


def _tools(body: Json, request: Request, naming: Naming) -> None:
    if not request.tools:
        return
    body["tools"] = [_tool(tool, naming(tool.name)) for tool in request.tools]
    if request.tool_choice is not None:
        custom = {tool.name for tool in request.tools if tool.custom}
        body["tool_choice"] = _choice(request.tool_choice, custom, naming)
    _put(body, "parallel_tool_calls", request.parallel_tool_calls)


def _tool(tool: Tool, name: str) -> Json:
    if tool.custom:
        custom: Json = {"name": name}
        if tool.description:
            custom["description"] = tool.description
        if tool.grammar is not None:
            grammar = {"syntax": tool.grammar.syntax, "definition": tool.grammar.definition}
            custom["format"] = {"type": "grammar", "grammar": grammar}
        return {"type": "custom", "custom": custom}
    function: Json = {"name": name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or Raw(b'{"type":"object","properties":{}}')
    _put(function, "strict", tool.strict)
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice, custom: set[str], naming: Naming) -> str | Json:
    kinds = ("custom" if name in custom else "function" for name in choice.names)
    named: list[Json] = [
        {"type": kind, kind: {"name": naming(name)}} for kind, name in zip(kinds, choice.names, strict=True)
    ]
    if choice.mode == "tool":
        return named[0]
    if named:
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": named}}
    return choice.mode
