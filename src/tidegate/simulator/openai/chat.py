"""Encodes chat completions: whole answers and streams of chunks, as OpenAI and Azure send them."""

from typing import Any, Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Choice, ToolCall, generator
from tidegate.simulator.invention import split_tokens
from tidegate.simulator.logprobs import token_logprob
from tidegate.simulator.openai.chat_request import ChatRequest
from tidegate.simulator.openai.composition import compose_choice
from tidegate.simulator.openai.setting import Setting
from tidegate.simulator.template import Template

_encode = msgspec.json.encode

_SAFE: Final = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_PROMPT_FILTER: Final = [
    {"prompt_index": 0, "content_filter_results": {**_SAFE, "jailbreak": {"filtered": False, "detected": False}}}
]
_OBFUSCATION_BYTES: Final = 16


def chat_template(request: ChatRequest, behaviour: Behaviour, setting: Setting) -> Template:
    """The answer, ready to be sent."""
    choices = [
        compose_choice(request, behaviour, generator(setting.seed, setting.model, request.prompt, index))
        for index in range(request.n)
    ]
    completion = sum(choice.completion_tokens for choice in choices)
    reasoning = sum(choice.reasoning_tokens for choice in choices)
    usage = usage_fields(request.prompt_tokens, completion, setting.cached_tokens, reasoning)
    build = _stream if request.stream else _whole
    template = build(request, choices, usage if setting.usage else None, setting, behaviour)
    template.prompt_tokens = request.prompt_tokens
    template.cached_tokens = setting.cached_tokens
    template.completion_tokens = completion
    return template


def usage_fields(prompt: int, completion: int, cached: int, reasoning: int) -> dict[str, Any]:
    """OpenAI's usage object: cached tokens are part of the prompt's, reasoning tokens of the completion's."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def fingerprint(setting: Setting) -> str:
    """Of the model's configuration: changes with the seed."""
    return f"fp_{generator(setting.seed, setting.model).getrandbits(40):010x}"


def _whole(
    request: ChatRequest, choices: list[Choice], usage: dict[str, Any] | None, setting: Setting, _: Behaviour
) -> Template:
    fields: dict[str, Any] = {
        "model": setting.model,
        "choices": [_whole_choice(request, index, choice, setting) for index, choice in enumerate(choices)],
    }
    if usage is not None:
        fields["usage"] = usage
    fields["service_tier"] = request.service_tier
    fields["system_fingerprint"] = fingerprint(setting)
    if setting.azure:
        fields["prompt_filter_results"] = _PROMPT_FILTER
    return Template(
        model=setting.model,
        opening=b'{"id":"chatcmpl-',
        middle=b'","object":"chat.completion","created":',
        tails=[_tail(fields)],
    )


def _whole_choice(request: ChatRequest, index: int, choice: Choice, setting: Setting) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None, "annotations": []}
    if choice.refused:
        message.update(content=None, refusal=choice.text or None)
    if choice.calls:
        message["content"] = None
        if request.legacy_functions:
            message["function_call"] = _function(choice.calls[0])
        else:
            message["tool_calls"] = [_tool_call(call) for call in choice.calls]
    fields = {
        "index": index,
        "message": message,
        "logprobs": _logprobs(request, choice.tokens),
        "finish_reason": choice.finish,
    }
    if setting.azure:
        fields["content_filter_results"] = _SAFE
    return fields


def _function(call: ToolCall) -> dict[str, Any]:
    return {"name": call.tool.name, "arguments": call.arguments}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    if call.tool.kind == "custom":
        return {"id": call.id, "type": "custom", "custom": {"name": call.tool.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": _function(call)}


def _stream(
    request: ChatRequest, choices: list[Choice], usage: dict[str, Any] | None, setting: Setting, behaviour: Behaviour
) -> Template:
    common: dict[str, Any] = {
        "model": setting.model,
        "service_tier": request.service_tier,
        "system_fingerprint": fingerprint(setting),
    }
    told = request.include_usage and usage is not None
    rng = generator(setting.seed, "obfuscation", request.prompt)
    tails: list[bytes] = []
    for piece in _interleaved(request, choices, behaviour, setting):
        fields = {**common, "choices": [piece]}
        if told:
            fields["usage"] = None
        if request.obfuscation and not setting.azure:
            length = _OBFUSCATION_BYTES - len(piece["delta"].get("content") or "") % _OBFUSCATION_BYTES
            fields["obfuscation"] = f"{rng.getrandbits(4 * length):0{length}x}"
        tails.append(_tail(fields))
    if told:
        tails.append(_tail({**common, "choices": [], "usage": usage}))
    template = Template(
        model=setting.model,
        opening=b'{"id":"chatcmpl-',
        middle=b'","object":"chat.completion.chunk","created":',
        tails=tails,
        stream=True,
    )
    if setting.azure:
        empty = {
            "choices": [],
            "created": 0,
            "id": "",
            "model": "",
            "object": "",
            "prompt_filter_results": _PROMPT_FILTER,
        }
        template.lead = _encode(empty)
    return template


def _interleaved(
    request: ChatRequest, choices: list[Choice], behaviour: Behaviour, setting: Setting
) -> list[dict[str, Any]]:
    """The choices' pieces in turn, as several answers written at once are sent."""
    lanes = [_pieces(request, index, choice, behaviour, setting) for index, choice in enumerate(choices)]
    longest = max(len(lane) for lane in lanes)
    return [lane[turn] for turn in range(longest) for lane in lanes if turn < len(lane)]


def _pieces(
    request: ChatRequest, index: int, choice: Choice, behaviour: Behaviour, setting: Setting
) -> list[dict[str, Any]]:
    def piece(delta: dict[str, Any], tokens: list[str] | None = None, finish: str | None = None) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "index": index,
            "delta": delta,
            "logprobs": None if tokens is None else _logprobs(request, tokens),
            "finish_reason": finish,
        }
        if setting.azure:
            fields["content_filter_results"] = _SAFE if tokens else {}
        return fields

    if choice.calls:
        return [*(piece(delta) for delta in _call_deltas(request, choice.calls)), piece({}, finish=choice.finish)]
    size = max(1, behaviour.tokens_per_event)
    pieces = [piece({"role": "assistant", "content": "", "refusal": None})]
    for start in range(0, len(choice.tokens), size):
        tokens = choice.tokens[start : start + size]
        pieces.append(piece({"refusal" if choice.refused else "content": "".join(tokens)}, tokens))
    pieces.append(piece({}, finish=choice.finish))
    return pieces


def _call_deltas(request: ChatRequest, calls: list[ToolCall]) -> list[dict[str, Any]]:
    """Id and name once, then the arguments in fragments; `index` tells the calls apart."""
    deltas: list[dict[str, Any]] = []
    for index, call in enumerate(calls):
        slot = "custom" if call.tool.kind == "custom" else "function"
        value = "input" if slot == "custom" else "arguments"
        opening: dict[str, Any] = {"role": "assistant", "content": None} if index == 0 else {}
        if request.legacy_functions:
            deltas.append({**opening, "function_call": {"name": call.tool.name, "arguments": ""}, "refusal": None})
            deltas.extend({"function_call": {"arguments": token}} for token in split_tokens(call.arguments))
            continue
        first = {"index": index, "id": call.id, "type": slot, slot: {"name": call.tool.name, value: ""}}
        deltas.append({**opening, "tool_calls": [first], **({"refusal": None} if opening else {})})
        deltas.extend(
            {"tool_calls": [{"index": index, slot: {value: token}}]} for token in split_tokens(call.arguments)
        )
    return deltas


def _logprobs(request: ChatRequest, tokens: list[str]) -> dict[str, Any] | None:
    if request.top_logprobs is None:
        return None
    return {"content": [token_logprob(token, request.top_logprobs) for token in tokens], "refusal": None}


def _tail(fields: dict[str, Any]) -> bytes:
    return b"," + _encode(fields)[1:]
