"""From the hub to an upstream's generateContent request.

Cache marks of other dialects have no place here: Gemini finds repeated prefixes by itself.

Source: `google.genai.types` of the official SDK; https://ai.google.dev/api/generate-content.
"""

import re
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
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tidegate.dialects.dialect import UpstreamModel
from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.dialects.gemini.models import signs_calls, thinking_config
from tidegate.dialects.gemini.schemas import for_gemini
from tidegate.dialects.gemini.signatures import ORIGIN, SKIPPED
from tidegate.dialects.hints import drop_hints
from tidegate.dialects.history import check_tool_history, object_text, split_system, tool_names, turns
from tidegate.dialects.tool_names import rename_tools

Json = dict[str, Any]

Naming = Callable[[str], str]

_FORBIDDEN: Final = re.compile(r"^[^A-Za-z_]|[^A-Za-z0-9_.:-]")
_LONGEST: Final = 128
_TIERS: Final = {
    "auto": "",
    "default": "standard",
    "standard_only": "standard",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
}
_HINTS: Final = ("verbosity", "user", "metadata", "prompt_cache_key")
_SAMPLERS: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "max_output_tokens": "maxOutputTokens",
}
_KINDS: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "html": "text/html",
    "json": "application/json",
    "csv": "text/csv",
}
_OWN_FILES: Final = ("gs://", "https://generativelanguage.googleapis.com/")


def encode_request(request: Request, upstream: UpstreamModel) -> bytes:
    """The body. Raises UnreadableRequest."""
    body: Json = {}
    field = request.names.get("items") or request.called("messages")
    check_tool_history(request.items, field)
    drop_hints(request, "prompt_cache_breakpoint", "name", "detail", "strict")
    system, rest = split_system(request.items)
    told = [_text(part, field) for message in system for part in message.parts]
    if told:
        body["systemInstruction"] = {"parts": told}
    if not rest:
        raise bad_field(f"`{field}` has system messages alone: add what the user says.", field)
    naming = rename_tools(request, forbidden=_FORBIDDEN, longest=_LONGEST)
    body["contents"] = _Contents(rest, field, naming, sign=signs_calls(upstream.name)).encoded()
    _tools(body, request, naming)
    config = _generation(request, upstream)
    if config:
        body["generationConfig"] = config
    _tier(body, request)
    for name in _HINTS:
        if getattr(request, name) is not None:
            request.dropped.append(request.called(name))
    return msgspec.json.encode(body)


def _tier(body: Json, request: Request) -> None:
    if request.service_tier is None:
        return
    if request.service_tier not in _TIERS:
        name = request.called("service_tier")
        raise unsupported_field(name, f"`{name}`: the upstream has no tier `{request.service_tier}`.")
    tier = _TIERS[request.service_tier]
    if tier:
        body["serviceTier"] = tier


def _generation(request: Request, upstream: UpstreamModel) -> Json:
    config: Json = {}
    for name, native in _SAMPLERS.items():
        value = getattr(request, name)
        if value is not None:
            config[native] = value
    if request.stop:
        config["stopSequences"] = request.stop
    for name in ("logit_bias", "logprobs"):
        if getattr(request, name) is not None:
            called = request.called(name)
            raise unsupported_field(called, f"`{called}` cannot be honoured by the upstream of this model.")
    wanted = request.output_format
    if wanted is not None:
        config["responseMimeType"] = "application/json"
        if wanted.schema is not None:
            config["responseJsonSchema"] = for_gemini(wanted.schema, request.called("output_format"))
    if request.thinking is not None:
        thinking, honoured = thinking_config(request.thinking, upstream.name)
        if thinking:
            config["thinkingConfig"] = thinking
        if not honoured:
            request.dropped.append(request.called("thinking"))
    return config


# Contents.


class _Contents:
    """Turns of the two sides. One history's."""

    def __init__(self, items: list[Item], field: str, naming: Naming, *, sign: bool) -> None:
        self._items = items
        self._field = field
        self._naming = naming
        self._sign = sign
        self._names = tool_names(items)

    def encoded(self) -> list[Json]:
        contents: list[Json] = []
        for turn in turns(self._items):
            parts = self._model(turn.items) if turn.role == "assistant" else self._user(turn.items)
            if parts:
                contents.append({"role": "model" if turn.role == "assistant" else "user", "parts": parts})
        return contents

    def _user(self, items: list[Item]) -> list[Json]:
        """Results first and together, as upstreams want them that compare their number with that of the calls."""
        results: list[Json] = []
        others: list[Json] = []
        for item in items:
            if isinstance(item, ToolResult):
                results.append(self._result(item))
                others += [self._part(part) for part in item.parts if isinstance(part, Image | Audio | File)]
            elif isinstance(item, Message):
                others += [self._part(part) for part in item.parts]
        return results + others

    def _model(self, items: list[Item]) -> list[Json]:
        parts: list[Json] = []
        waiting = ""
        signed = False
        for item in items:
            if isinstance(item, Reasoning):
                if item.origin != ORIGIN:
                    continue  # its provider alone can read it
                if item.text:
                    parts.append(_signed({"text": item.text, "thought": True}, item.signature))
                else:
                    parts += _alone(waiting)
                    waiting = item.signature
            elif isinstance(item, ToolCall):
                signature = item.signature or waiting
                waiting = ""
                if not signature and not signed and self._sign:
                    signature = SKIPPED
                signed = True
                parts.append(_signed({"functionCall": self._call(item)}, signature))
            elif isinstance(item, Message):
                said = [self._part(part) for part in item.parts]
                if said and waiting:
                    said[-1]["thoughtSignature"], waiting = waiting, ""
                parts += said
        return parts + _alone(waiting)

    def _call(self, call: ToolCall) -> Json:
        if call.custom:
            raise unsupported_field(self._field, f"`{call.name}` was called as a custom tool: the upstream has none.")
        text = object_text(call.arguments, f"{self._field}: the arguments of `{call.id}`")
        return {"id": call.id, "name": self._naming(call.name), "args": Raw(text.encode())}

    def _result(self, result: ToolResult) -> Json:
        text = "".join(part.text for part in result.parts if isinstance(part, Text | Refusal))
        name = self._naming(self._names[result.call_id])
        return {"functionResponse": {"id": result.call_id, "name": name, "response": _response(text, result.is_error)}}

    def _part(self, part: Part) -> Json:
        match part:
            case Text() | Refusal():
                return {"text": part.text}
            case Image():
                return self._media(part, part.media_type or "image/*")
            case Audio():
                return {"inlineData": {"mimeType": f"audio/{part.format}", "data": part.data}}
            case File():
                if part.text:
                    return {"text": part.text}
                return self._media(part, part.media_type or "application/octet-stream")

    def _media(self, media: Image | File, otherwise: str) -> Json:
        if media.data:
            return {"inlineData": {"mimeType": media.media_type, "data": media.data}}
        if media.file_id and not media.file_id.startswith(_OWN_FILES):
            raise unsupported_field(self._field, "A file by its id belongs to another provider: send its data.")
        uri = media.file_id or media.url
        return {"fileData": {"mimeType": media.media_type or _kind(uri, otherwise), "fileUri": uri}}


def _kind(uri: str, otherwise: str) -> str:
    ending = uri.partition("?")[0].rpartition(".")[2].lower()
    return _KINDS.get(ending, otherwise)


def _signed(part: Json, signature: str) -> Json:
    if signature:
        part["thoughtSignature"] = signature
    return part


def _alone(signature: str) -> list[Json]:
    """A signature whose text is not there any more goes in a part of its own, as Gemini itself sends it."""
    return [{"text": "", "thoughtSignature": signature}] if signature else []


def _response(text: str, failed: bool | None) -> Json | Raw:
    """An object as it is; any other text under the key that Gemini reads it from."""
    if failed:
        return {"error": text}
    try:
        if isinstance(msgspec.json.decode(text), dict):
            return Raw(text.encode())
    except (msgspec.DecodeError, RecursionError):
        pass
    return {"output": text}


def _text(part: Part, field: str) -> Json:
    if not isinstance(part, Text | Refusal):
        raise unsupported_field(field, "The upstream takes text alone in system messages.")
    return {"text": part.text}


# Tools.


def _tools(body: Json, request: Request, naming: Naming) -> None:
    if not request.tools:
        return
    field = request.called("tools")
    body["tools"] = [{"functionDeclarations": [_declaration(tool, field, naming) for tool in request.tools]}]
    if request.tool_choice is not None:
        body["toolConfig"] = {"functionCallingConfig": _choice(request.tool_choice, naming)}
    request.first_call_alone = request.parallel_tool_calls is False


def _declaration(tool: Tool, field: str, naming: Naming) -> Json:
    if tool.custom:
        raise unsupported_field(field, f"`{tool.name}` is a custom tool: the upstream takes functions alone.")
    declaration: Json = {"name": naming(tool.name)}
    if tool.description:
        declaration["description"] = tool.description
    if tool.parameters is not None:
        declaration["parametersJsonSchema"] = for_gemini(tool.parameters, field)
    return declaration


def _choice(choice: ToolChoice, naming: Naming) -> Json:
    names = [naming(name) for name in choice.names]
    if choice.mode == "none":
        return {"mode": "NONE"}
    if choice.mode == "auto":
        # AUTO takes no list of names; VALIDATED is the mode that leaves the choice free and does.
        return {"mode": "VALIDATED", "allowedFunctionNames": names} if names else {"mode": "AUTO"}
    return {"mode": "ANY", "allowedFunctionNames": names} if names else {"mode": "ANY"}
