"""Encodes Converse answers: whole ones, and the frames of ConverseStream."""

import random
from typing import Any, Final

import msgspec

from tidegate.simulator.anthropic.blocks import DIALECT
from tidegate.simulator.bedrock.converse_request import ConverseRequest
from tidegate.simulator.bedrock.invoke import EVENT_STREAM
from tidegate.simulator.bedrock.rejection import exception_frame
from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Choice, compose, generator
from tidegate.simulator.invention import split_tokens
from tidegate.simulator.setting import Setting
from tidegate.simulator.signatures import sign
from tidegate.simulator.template import Flaws, Mould
from tidegate.wire.eventstream import encode_frame

_STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "content_filtered",
}
_METRICS: Final = {"latencyMs": 42}

_encode = msgspec.json.encode


def _frame(name: str, payload: bytes) -> bytes:
    headers = ((":event-type", name), (":content-type", "application/json"), (":message-type", "event"))
    return encode_frame(headers, payload)


_FLAWS: Final = Flaws(
    error_event=exception_frame("modelStreamErrorException", "The system encountered an unexpected error."),
    broken_event=_frame("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"te'),
    comment=b"",
)


def converse_reply(request: ConverseRequest, behaviour: Behaviour, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    rng = generator(setting.seed, setting.model, request.prompt)
    choice = compose(request, behaviour, rng)
    blocks = _blocks(choice, rng)
    reason = "stop_sequence" if choice.stop_sequence is not None else _STOP_REASONS[choice.finish]
    usage = {"usage": _usage(request, setting, choice)} if setting.usage else {}
    if request.stream:
        frames = _frames(blocks, reason, usage, max(1, behaviour.tokens_per_event))
        mould = Mould(
            model=setting.model, pieces=frames, flaws=_FLAWS, stream=True, repeated=1, content_type=EVENT_STREAM
        )
    else:
        message = {"role": "assistant", "content": blocks}
        told = {"output": {"message": message}, "stopReason": reason, **usage, "metrics": _METRICS}
        mould = Mould(model=setting.model, pieces=[_encode(told)], flaws=_FLAWS)
    mould.prompt_tokens = request.prompt_tokens
    mould.cached_tokens = setting.cached_tokens
    mould.completion_tokens = choice.completion_tokens
    return mould


def _blocks(choice: Choice, rng: random.Random) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if choice.thoughts:
        text = "".join(choice.thoughts)
        blocks.append({"reasoningContent": {"reasoningText": {"text": text, "signature": sign(DIALECT, text, rng)}}})
    if choice.tokens:
        blocks.append({"text": choice.text})
    for call in choice.calls:
        use = {"toolUseId": f"tooluse_{call.digits}", "name": call.tool.name}
        blocks.append({"toolUse": {**use, "input": msgspec.json.decode(call.arguments)}})
    return blocks


def _usage(request: ConverseRequest, setting: Setting, choice: Choice) -> dict[str, int]:
    """Cached tokens are not part of `inputTokens`."""
    cached = setting.cached_tokens
    return {
        "inputTokens": request.prompt_tokens - cached,
        "outputTokens": choice.completion_tokens,
        "totalTokens": request.prompt_tokens + choice.completion_tokens,
        "cacheReadInputTokens": cached,
        "cacheWriteInputTokens": 0,
    }


def _frames(blocks: list[dict[str, Any]], reason: str, usage: dict[str, Any], size: int) -> list[bytes]:
    frames = [_event("messageStart", role="assistant")]
    for index, block in enumerate(blocks):
        if "toolUse" in block:
            use = {name: block["toolUse"][name] for name in ("toolUseId", "name")}
            frames.append(_event("contentBlockStart", start={"toolUse": use}, contentBlockIndex=index))
        frames += [_event("contentBlockDelta", delta=delta, contentBlockIndex=index) for delta in _deltas(block, size)]
        frames.append(_event("contentBlockStop", contentBlockIndex=index))
    frames.append(_event("messageStop", stopReason=reason))
    frames.append(_event("metadata", **usage, metrics=_METRICS))
    return frames


def _deltas(block: dict[str, Any], size: int) -> list[dict[str, Any]]:
    if "text" in block:
        return [{"text": part} for part in _parts(block["text"], size)]
    if "toolUse" in block:
        return [{"toolUse": {"input": part}} for part in _parts(_encode(block["toolUse"]["input"]).decode(), size)]
    thought = block["reasoningContent"]["reasoningText"]
    told: list[dict[str, Any]] = [{"reasoningContent": {"text": part}} for part in _parts(thought["text"], size)]
    return [*told, {"reasoningContent": {"signature": thought["signature"]}}]


def _parts(text: str, size: int) -> list[str]:
    tokens = split_tokens(text)
    return ["".join(tokens[start : start + size]) for start in range(0, len(tokens), size)]


def _event(name: str, **payload: Any) -> bytes:
    return _frame(name, _encode(payload))
