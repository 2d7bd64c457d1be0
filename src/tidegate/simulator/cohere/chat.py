"""Encodes Cohere's chat answers: whole ones and streams of typed events."""

from typing import Any, Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.cohere.chat_request import ChatRequest
from tidegate.simulator.composition import Choice, ToolCall, compose, generator
from tidegate.simulator.invention import split_tokens
from tidegate.simulator.setting import Setting
from tidegate.simulator.template import DONE, ID, Flaws, Mould

_encode = msgspec.json.encode

FLAWS: Final = Flaws(
    error_event=b'event: message-end\ndata: {"type":"message-end","delta":{"finish_reason":"ERROR","error":'
    b'"internal server error"}}\n\n',
    broken_event=b'event: content-delta\ndata: {"type":"content-delta","index":0,"del\n\n',
)
_FINISH: Final = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}
_PREAMBLE_TOKENS: Final = 60
"""What the provider puts before each prompt: counted as tokens, not billed."""
_PLAN: Final = "I will look that up with the tools at hand."


def chat_reply(request: ChatRequest, behaviour: Behaviour, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    choice = compose(request, behaviour, generator(setting.seed, setting.model, request.prompt))
    finish = _FINISH.get(choice.finish, "COMPLETE" if choice.tokens else "ERROR")
    if choice.stop_sequence is not None:
        finish = "STOP_SEQUENCE"
    usage = _usage(request, choice, setting)
    if request.stream:
        pieces, repeated = _events(request, choice, behaviour, {"finish_reason": finish, **usage})
        mould = Mould(
            model=setting.model,
            pieces=pieces,
            flaws=FLAWS,
            stream=True,
            repeated=repeated,
            content_type=b"text/event-stream",
        )
    else:
        fields = {"id": ID, "finish_reason": finish, "message": _message(choice), **usage}
        if request.logprobs:
            fields["logprobs"] = [_logprobs(choice.tokens)]
        mould = Mould(model=setting.model, pieces=[_encode(fields)], flaws=FLAWS)
    mould.prompt_tokens = request.prompt_tokens
    mould.cached_tokens = setting.cached_tokens
    mould.completion_tokens = choice.completion_tokens
    return mould


def _usage(request: ChatRequest, choice: Choice, setting: Setting) -> dict[str, Any]:
    if not setting.usage:
        return {}
    count = choice.completion_tokens
    return {
        "usage": {
            "billed_units": {"input_tokens": request.prompt_tokens, "output_tokens": count},
            "tokens": {"input_tokens": request.prompt_tokens + _PREAMBLE_TOKENS, "output_tokens": count},
            "cached_tokens": setting.cached_tokens,
        }
    }


def _message(choice: Choice) -> dict[str, Any]:
    if choice.calls:
        message: dict[str, Any] = {"role": "assistant", "tool_calls": [_call(call) for call in choice.calls]}
        return {**message, "tool_plan": "".join(choice.thoughts) or _PLAN}
    content: list[dict[str, Any]] = []
    if choice.thoughts:
        content.append({"type": "thinking", "thinking": "".join(choice.thoughts)})
    if choice.tokens:
        content.append({"type": "text", "text": choice.text})
    return {"role": "assistant", "content": content}


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.tool.name, "arguments": call.arguments}
    return {"id": f"{call.tool.name}_{call.digits[:12]}", "type": "function", "function": function}


def _logprobs(tokens: list[str]) -> dict[str, Any]:
    return {
        "text": "".join(tokens),
        "token_ids": [7 * len(token) for token in tokens],
        "logprobs": [-0.5] * len(tokens),
    }


def _events(request: ChatRequest, choice: Choice, behaviour: Behaviour, end: dict[str, Any]) -> tuple[list[bytes], int]:
    """→ the framed events, and which of them is a delta."""
    size = max(1, behaviour.tokens_per_event)
    opening = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    events = [_event("message-start", id=ID, delta={"message": opening})]
    message = _message(choice)
    if choice.calls:
        for part in _parts(split_tokens(message["tool_plan"]), size):
            events.append(_event("tool-plan-delta", delta={"message": {"tool_plan": "".join(part)}}))
        for index, call in enumerate(message["tool_calls"]):
            events.extend(_call_events(index, call, size))
    for index, content in enumerate(message.get("content", [])):
        kind = content["type"]
        start = {"type": kind, kind: ""}
        events.append(_event("content-start", index=index, delta={"message": {"content": start}}))
        for part in _parts(choice.thoughts if kind == "thinking" else choice.tokens, size):
            told = {"logprobs": _logprobs(part)} if request.logprobs and kind == "text" else {}
            delta = {"message": {"content": {kind: "".join(part)}}}
            events.append(_event("content-delta", index=index, delta=delta, **told))
        events.append(_event("content-end", index=index))
    events.append(_event("message-end", id=ID, delta=end))
    events.append(DONE)
    delta = next((at for at, event in enumerate(events) if b"-delta\n" in event), 0)
    return events, delta


def _call_events(index: int, call: dict[str, Any], size: int) -> list[bytes]:
    function = call["function"]
    opened = {**call, "function": {**function, "arguments": ""}}
    return [
        _event("tool-call-start", index=index, delta={"message": {"tool_calls": opened}}),
        *(
            _event(
                "tool-call-delta",
                index=index,
                delta={"message": {"tool_calls": {"function": {"arguments": "".join(part)}}}},
            )
            for part in _parts(split_tokens(function["arguments"]), size)
        ),
        _event("tool-call-end", index=index),
    ]


def _parts(tokens: list[str], size: int) -> list[list[str]]:
    return [tokens[start : start + size] for start in range(0, len(tokens), size)]


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **fields}))
