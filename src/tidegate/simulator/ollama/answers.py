"""Encodes Ollama's answers: whole, or a line of JSON for each piece."""

from typing import Any, Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Choice, compose, generator
from tidegate.simulator.logprobs import token_logprob
from tidegate.simulator.ollama.requests import EmbedRequest, OllamaRequest
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import TIME, Flaws, Mould
from tidegate.simulator.vectors import unit_vector

_encode = msgspec.json.encode

JSON_TYPE: Final = b"application/json; charset=utf-8"
_LINES: Final = b"application/x-ndjson"
FLAWS: Final = Flaws(
    error_event=b'{"error":"an error was encountered while running the model: unexpected EOF"}\n',
    broken_event=b'{"model":"broken","created_at":"2026-\n',
    comment=b"",
)
_TOKEN_NS: Final = 8_000_000
_LOAD_NS: Final = 21_000_000


def answer_reply(request: OllamaRequest, behaviour: Behaviour, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    choice = Choice([], [], "load", 0)
    if not request.loads:
        choice = compose(request, behaviour, generator(setting.seed, setting.model, request.prompt))
    end = _line(request, setting, {}, "", done=True)
    end["done_reason"] = {"length": "length", "load": "load"}.get(choice.finish, "stop")
    if setting.usage and not request.loads:
        end.update(_usage(request, choice))
    if request.stream:
        size = max(1, behaviour.tokens_per_event)
        lines = [*_lines(request, choice, setting, size), end]
        pieces = [_encode(line) + b"\n" for line in lines]
        mould = Mould(model=setting.model, pieces=pieces, flaws=FLAWS, stream=True, repeated=0, content_type=_LINES)
    else:
        for line in _lines(request, choice, setting, 10**9):
            _add(end, line, request)
        mould = Mould(model=setting.model, pieces=[_encode(end)], flaws=FLAWS, content_type=JSON_TYPE)
    mould.prompt_tokens = request.prompt_tokens
    mould.completion_tokens = choice.completion_tokens
    return mould


def _line(
    request: OllamaRequest, setting: Setting, said: dict[str, Any], text: str, done: bool = False
) -> dict[str, Any]:
    common = {"model": setting.model, "created_at": TIME}
    if request.chat:
        return {**common, "message": {"role": "assistant", "content": text, **said}, "done": done}
    return {**common, "response": text, **said, "done": done}


def _lines(request: OllamaRequest, choice: Choice, setting: Setting, size: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for start in range(0, len(choice.thoughts), size):
        lines.append(_line(request, setting, {"thinking": "".join(choice.thoughts[start : start + size])}, ""))
    for start in range(0, len(choice.tokens), size):
        tokens = choice.tokens[start : start + size]
        line = _line(request, setting, {}, "".join(tokens))
        if request.top_logprobs is not None:
            line["logprobs"] = [token_logprob(token, request.top_logprobs) for token in tokens]
        lines.append(line)
    for index, call in enumerate(choice.calls):
        function = {"index": index, "name": call.tool.name, "arguments": msgspec.json.decode(call.arguments)}
        lines.append(_line(request, setting, {"tool_calls": [{"id": call.id, "function": function}]}, ""))
    return lines


def _add(whole: dict[str, Any], line: dict[str, Any], request: OllamaRequest) -> None:
    """A whole answer is the sum of its lines."""
    onto = whole["message"] if request.chat else whole
    said = line["message"] if request.chat else line
    text = "content" if request.chat else "response"
    onto[text] += said[text]
    if "thinking" in said:
        onto["thinking"] = onto.get("thinking", "") + said["thinking"]
    if "tool_calls" in said:
        onto["tool_calls"] = [*onto.get("tool_calls", []), *said["tool_calls"]]
    if "logprobs" in line:
        whole["logprobs"] = line["logprobs"]


def _usage(request: OllamaRequest, choice: Choice) -> dict[str, Any]:
    count = choice.completion_tokens
    fields: dict[str, Any] = {
        "total_duration": _LOAD_NS + (request.prompt_tokens + count) * _TOKEN_NS,
        "load_duration": _LOAD_NS,
        "prompt_eval_count": request.prompt_tokens,
        "prompt_eval_duration": request.prompt_tokens * _TOKEN_NS,
        "eval_count": count,
        "eval_duration": count * _TOKEN_NS,
    }
    return fields if request.chat else {"context": [128006, 882, 128007], **fields}


def embed_reply(request: EmbedRequest, behaviour: Behaviour, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    size = request.size or behaviour.dimensions
    vectors = [unit_vector(setting, text, size).tolist() for text in request.texts]
    fields: dict[str, Any] = {"model": setting.model, "embeddings": vectors}
    if setting.usage:
        fields |= {"total_duration": _LOAD_NS, "load_duration": _LOAD_NS, "prompt_eval_count": request.tokens}
    body = _encode({"embedding": vectors[0]} if request.legacy else fields)
    mould = Mould(model=setting.model, pieces=[body], flaws=FLAWS, content_type=JSON_TYPE)
    mould.prompt_tokens = request.tokens
    return mould
