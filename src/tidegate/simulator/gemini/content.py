"""Encodes generated content: whole answers, streams of server-sent events, and streams as one JSON array."""

import math
import random
from typing import Any, Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Choice, compose, generator
from tidegate.simulator.gemini.content_request import ContentRequest
from tidegate.simulator.gemini.contents import DIALECT
from tidegate.simulator.setting import Setting
from tidegate.simulator.signatures import sign
from tidegate.simulator.template import ID, Flaws, Mould

_encode = msgspec.json.encode

_ERROR: Final = (
    b'{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}'
)
_BROKEN: Final = b'{"candidates":[{"content":{"par'
SSE: Final = Flaws(
    error_event=b"data: " + _ERROR + b"\r\n\r\n",
    broken_event=b"data: " + _BROKEN + b"\r\n\r\n",
    comment=b": keep-alive\r\n\r\n",
)
ARRAY: Final = Flaws(error_event=b",\r\n" + _ERROR + b"\n]", broken_event=b",\r\n" + _BROKEN + b"\n", comment=b"")
_FINISH: Final = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "refusal": "SAFETY"}
JSON_TYPE: Final = b"application/json; charset=UTF-8"


def content_reply(request: ContentRequest, behaviour: Behaviour, sse: bool, setting: Setting) -> Mould:
    """The answer, ready to be sent. `sse`: how a stream is framed."""
    choices: list[tuple[Choice, list[list[dict[str, Any]]]]] = []
    for index in range(request.candidates):
        rng = generator(setting.seed, setting.model, request.prompt, index)
        choice = compose(request, behaviour, rng)
        choices.append((choice, _steps(request, choice, behaviour, rng)))
    thoughts = sum(choice.reasoning_tokens for choice, _ in choices)
    said = sum(choice.completion_tokens for choice, _ in choices) - thoughts
    usage = _usage(request, setting, said, thoughts)
    if request.stream:
        documents = _chunks(request, choices, usage, setting)
        mould = framed(documents, sse, setting)
    else:
        fields: dict[str, Any] = {}
        if behaviour.refusal == "prompt":
            fields["promptFeedback"] = {"blockReason": "PROHIBITED_CONTENT"}
        else:
            fields["candidates"] = [
                _candidate(request, index, choice, [part for step in steps for part in step], True)
                for index, (choice, steps) in enumerate(choices)
            ]
        document = encode_document(fields, usage, setting)
        mould = Mould(model=setting.model, pieces=[document + b"\n"], flaws=SSE, content_type=JSON_TYPE)
    mould.prompt_tokens = request.prompt_tokens
    mould.cached_tokens = setting.cached_tokens
    mould.completion_tokens = said + thoughts
    return mould


def framed(documents: list[bytes], sse: bool, setting: Setting) -> Mould:
    """A stream of them."""
    if sse:
        pieces = [b"data: " + document + b"\r\n\r\n" for document in documents]
        return Mould(
            model=setting.model, pieces=pieces, flaws=SSE, stream=True, content_type=b"text/event-stream", repeated=0
        )
    pieces = [(b"," if index else b"[") + document + b"\r\n" for index, document in enumerate(documents)]
    return Mould(
        model=setting.model, pieces=[*pieces, b"]"], flaws=ARRAY, stream=True, content_type=JSON_TYPE, repeated=1
    )


def _steps(
    request: ContentRequest, choice: Choice, behaviour: Behaviour, rng: random.Random
) -> list[list[dict[str, Any]]]:
    """The parts, in the portions in which a stream tells them; a whole answer joins the texts."""
    size = max(1, behaviour.tokens_per_event) if request.stream else 10**9
    steps: list[list[dict[str, Any]]] = []
    for start in range(0, len(choice.thoughts), size):
        steps.append([{"text": "".join(choice.thoughts[start : start + size]), "thought": True}])
    for start in range(0, len(choice.tokens), size):
        steps.append([{"text": "".join(choice.tokens[start : start + size])}])
    for call in choice.calls:
        named = {"name": call.tool.name, "args": msgspec.json.decode(call.arguments)}
        steps.append([{"functionCall": {"id": call.digits, **named} if request.newer else named}])
    first_call = len(steps) - len(choice.calls)
    if choice.calls:  # the first call carries the signature of the thoughts before it
        steps[first_call][0]["thoughtSignature"] = sign(DIALECT, "", rng)
    elif choice.tokens and request.thinks:
        signature = sign(DIALECT, "", rng)
        if request.stream:
            steps.append([{"text": "", "thoughtSignature": signature}])
        else:
            steps[-1][0]["thoughtSignature"] = signature
    return steps


def _candidate(
    request: ContentRequest, index: int, choice: Choice, parts: list[dict[str, Any]], last: bool
) -> dict[str, Any]:
    fields: dict[str, Any] = {"content": {"parts": parts, "role": "model"} if parts else {"role": "model"}}
    if last:
        fields["finishReason"] = _FINISH[choice.finish]
    fields["index"] = index
    if request.top_logprobs is not None and choice.tokens:
        texts = [part["text"] for part in parts if part.get("text") and not part.get("thought")]
        fields["avgLogprobs"] = -0.5
        fields["logprobsResult"] = {
            "chosenCandidates": [_token(text, 1) for text in texts],
            "topCandidates": [
                {"candidates": [_token(text, rank + 1) for rank in range(request.top_logprobs)]} for text in texts
            ],
        }
    return fields


def _token(text: str, rank: int) -> dict[str, Any]:
    return {"token": text, "tokenId": len(text) * 7, "logProbability": round(-math.log1p(rank) / 3, 6)}


def _usage(request: ContentRequest, setting: Setting, said: int, thoughts: int) -> dict[str, Any]:
    """Cached tokens are part of the prompt's; thoughts are not part of the candidates'."""
    fields: dict[str, Any] = {"promptTokenCount": request.prompt_tokens}
    if setting.cached_tokens:
        fields["cachedContentTokenCount"] = setting.cached_tokens
        fields["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": setting.cached_tokens}]
    if said:
        fields["candidatesTokenCount"] = said
    if thoughts:
        fields["thoughtsTokenCount"] = thoughts
    fields["totalTokenCount"] = request.prompt_tokens + said + thoughts
    fields["promptTokensDetails"] = prompt_details(request.prompt_tokens, request.audio_tokens)
    return fields


def prompt_details(tokens: int, audio: int) -> list[dict[str, Any]]:
    """`audio`: of the `tokens`."""
    told = [{"modality": "TEXT", "tokenCount": tokens - audio}]
    return [*told, {"modality": "AUDIO", "tokenCount": audio}] if audio else told


def _chunks(
    request: ContentRequest,
    choices: list[tuple[Choice, list[list[dict[str, Any]]]]],
    usage: dict[str, Any],
    setting: Setting,
) -> list[bytes]:
    """Each tells the usage so far; the last one the whole."""
    so_far = {
        name: count for name, count in usage.items() if name not in ("candidatesTokenCount", "thoughtsTokenCount")
    }
    so_far["totalTokenCount"] = request.prompt_tokens
    if all(choice.finish == "refusal" and not choice.tokens for choice, _ in choices):
        return [encode_document({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, so_far, setting)]
    candidates: list[dict[str, Any]] = []
    longest = max(1, *(len(steps) for _, steps in choices))
    for turn in range(longest):
        for index, (choice, steps) in enumerate(choices):
            last = turn == max(0, len(steps) - 1)
            if turn < len(steps) or last:
                parts = steps[turn] if turn < len(steps) else []
                candidates.append(_candidate(request, index, choice, parts, last))
    return [
        encode_document({"candidates": [candidate]}, usage if at == len(candidates) - 1 else so_far, setting)
        for at, candidate in enumerate(candidates)
    ]


def encode_document(fields: dict[str, Any], usage: dict[str, Any], setting: Setting) -> bytes:
    """A whole answer, or one event of a stream."""
    told = {"usageMetadata": usage} if setting.usage else {}
    return _encode({**fields, **told, "modelVersion": setting.model, "responseId": ID})
