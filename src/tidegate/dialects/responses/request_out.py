"""From the hub to an upstream's Responses request.

Nothing is stored upstream: what the model needs of its own thoughts comes back with each call, encrypted.

Source: `openai.types.responses.response_create_params` of the official SDK.
"""

from collections.abc import Callable
from typing import Any, Final

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
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.fields import unsupported_field
from tidegate.dialects.hints import drop_hints
from tidegate.dialects.media import data_url
from tidegate.dialects.model_rules import effort_of, nearest_effort, takes_effort, takes_samplers
from tidegate.dialects.pseudonym import pseudonym
from tidegate.dialects.responses.seal import FAMILY
from tidegate.dialects.tool_names import ANYTHING, OPENAI_FORBIDDEN, OPENAI_LONGEST, legal_id, rename_tools

Json = dict[str, Any]
Naming = Callable[[str], str]

_TIERS: Final = frozenset(("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"))
_HINTS: Final = ("top_k", "seed", "frequency_penalty", "presence_penalty", "metadata")


def encode_request(request: Request, upstream: UpstreamModel) -> bytes:
    """The body. Raises UnreadableRequest."""
    naming = rename_tools(request, forbidden=OPENAI_FORBIDDEN, longest=OPENAI_LONGEST)
    body: Json = {"model": upstream.name, "input": _input(request, naming), "store": False}
    drop_hints(request, "prompt_cache_breakpoint", "name", "is_error")
    for name in ("stop", "logit_bias", "logprobs"):
        if getattr(request, name) not in (None, []):
            field = request.called(name)
            raise unsupported_field(field, f"`{field}`: the upstream of this model speaks Responses, which has none.")
    request.dropped += [request.called(name) for name in _HINTS if getattr(request, name) is not None]
    _put(body, "max_output_tokens", request.max_output_tokens)
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is not None and takes_samplers(upstream.name):
            body[name] = value
        elif value is not None:
            request.dropped.append(request.called(name))
    _text(body, request)
    _thinking(body, request, upstream)
    _tools(body, request, naming)
    if request.service_tier is not None and request.service_tier not in _TIERS:
        name = request.called("service_tier")
        raise unsupported_field(name, f"`{name}`: the upstream has no tier `{request.service_tier[:40]}`.")
    _put(body, "service_tier", request.service_tier)
    _put(body, "prompt_cache_key", request.prompt_cache_key)
    if request.user is not None:
        body["safety_identifier"] = pseudonym(request.user)
    if request.stream:
        body["stream"] = True
    return msgspec.json.encode(body)


def _put(body: Json, name: str, value: object) -> None:
    if value is not None:
        body[name] = value


def _text(body: Json, request: Request) -> None:
    text: Json = {}
    wanted = request.output_format
    if wanted is not None and wanted.kind == "json_object":
        text["format"] = {"type": "json_object"}
    elif wanted is not None:
        schema: Json = {"type": "json_schema", "name": wanted.name or "answer"}
        schema["schema"] = wanted.schema if wanted.schema is not None else Raw(b'{"type":"object"}')
        # Without the word, Responses would be strict where the client did not ask for it.
        schema["strict"] = bool(wanted.strict)
        if wanted.description:
            schema["description"] = wanted.description
        text["format"] = schema
    _put(text, "verbosity", request.verbosity)
    if text:
        body["text"] = text


def _thinking(body: Json, request: Request, upstream: UpstreamModel) -> None:
    effort = effort_of(request.thinking)
    if not takes_effort(upstream.name) and "reasoning-effort" not in upstream.quirks:
        if effort not in (None, "none"):
            request.dropped.append(request.called("thinking"))
        return
    body["include"] = ["reasoning.encrypted_content"]
    reasoning: Json = {}
    _put(reasoning, "effort", None if effort is None else nearest_effort(upstream.name, effort))
    _put(reasoning, "summary", _summary(request.thinking))
    if reasoning:
        body["reasoning"] = reasoning


def _summary(thinking: Thinking | None) -> str | None:
    if thinking is None:
        return None
    return thinking.summary or ("auto" if thinking.show else None)


# Items.


def _input(request: Request, naming: Naming) -> list[Json]:
    custom = {item.id for item in request.items if isinstance(item, ToolCall) and item.custom}
    encoded: list[Json] = []
    for item in request.items:
        found = _item(item, request, custom, naming)
        if found is not None:
            encoded.append(found)
    return encoded


def _item(item: Item, request: Request, custom: set[str], naming: Naming) -> Json | None:
    match item:
        case Message():
            parts = [_part(part, item.role, request) for part in item.parts]
            return {"type": "message", "role": item.role, "content": parts}
        case Reasoning():
            return _thought(item, request)
        case ToolCall(custom=True):
            named: Json = {"call_id": _id(item.id), "name": naming(item.name)}
            return {"type": "custom_tool_call", **named, "input": item.arguments}
        case ToolCall():
            named = {"call_id": _id(item.id), "name": naming(item.name)}
            return {"type": "function_call", **named, "arguments": item.arguments}
        case ToolResult():
            kind = "custom_tool_call_output" if item.call_id in custom else "function_call_output"
            return {"type": kind, "call_id": _id(item.call_id), "output": _output(item, request)}


def _id(text: str) -> str:
    return legal_id(text, ANYTHING, OPENAI_LONGEST)


def _thought(thought: Reasoning, request: Request) -> Json | None:
    """Only what this family sealed can be taken back; another's thoughts are not its own."""
    if thought.origin != FAMILY or not thought.encrypted or thought.signature:
        return None
    request.sealed.append(thought.encrypted)
    told: Json = {"type": "reasoning", "summary": [], "encrypted_content": thought.encrypted}
    if thought.id:
        told["id"] = thought.id
    if thought.text and thought.summary:
        told["summary"] = [{"type": "summary_text", "text": thought.text}]
    elif thought.text:
        told["content"] = [{"type": "reasoning_text", "text": thought.text}]
    return told


def _output(result: ToolResult, request: Request) -> str | list[Json]:
    if len(result.parts) == 1 and isinstance(result.parts[0], Text):
        return result.parts[0].text
    if not result.parts:
        return ""
    return [_part(part, "user", request) for part in result.parts]


def _part(part: Part, role: str, request: Request) -> Json:
    match part:
        case Text():
            return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}
        case Refusal():
            if role == "assistant":
                return {"type": "refusal", "refusal": part.text}
            return {"type": "input_text", "text": part.text}
        case Image():
            if part.file_id:
                raise _elsewhere("An image", request)
            url = part.url or data_url(part.media_type, part.data)
            return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
        case File():
            return _file(part, request)
        case Audio():
            field = request.called("messages")
            raise unsupported_field(field, f"`{field}`: the upstream of this model takes no audio.")


def _file(file: File, request: Request) -> Json:
    if file.file_id:
        raise _elsewhere("A document", request)
    if file.text:
        return {"type": "input_text", "text": file.text}
    told: Json = {"type": "input_file"}
    if file.url:
        return told | {"file_url": file.url}
    name = file.name or "document." + file.media_type.rpartition("/")[2]
    return told | {"filename": name, "file_data": data_url(file.media_type, file.data)}


def _elsewhere(what: str, request: Request) -> Exception:
    message = f"{what} by `file_id` belongs to another provider: send its data."
    return unsupported_field(request.called("messages"), message)


# Tools.


def _tools(body: Json, request: Request, naming: Naming) -> None:
    if not request.tools:
        return
    body["tools"] = [_tool(tool, naming(tool.name)) for tool in request.tools]
    choice = request.tool_choice
    _put(body, "parallel_tool_calls", request.parallel_tool_calls)
    if choice is None:
        return
    custom = {tool.name for tool in request.tools if tool.custom}
    named = [{"type": "custom" if name in custom else "function", "name": naming(name)} for name in choice.names]
    if choice.mode == "tool":
        body["tool_choice"] = named[0]
    elif named:
        body["tool_choice"] = {"type": "allowed_tools", "mode": choice.mode, "tools": named}
    else:
        body["tool_choice"] = choice.mode


def _tool(tool: Tool, name: str) -> Json:
    told: Json = {"type": "custom" if tool.custom else "function", "name": name}
    if tool.description:
        told["description"] = tool.description
    if tool.grammar is not None:
        told["format"] = {"type": "grammar", "syntax": tool.grammar.syntax, "definition": tool.grammar.definition}
    if not tool.custom:
        told["parameters"] = (
            tool.parameters if tool.parameters is not None else Raw(b'{"type":"object","properties":{}}')
        )
        # Without the word, Responses would be strict, and change the schema where it is not.
        told["strict"] = bool(tool.strict)
    return told
