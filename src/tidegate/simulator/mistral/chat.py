"""Encodes Mistral's chat answers: whole ones, and streams whose last chunk has the usage, asked for or not."""

import random
from typing import Any, Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Choice, ToolCall, compose, generator
from tidegate.simulator.mistral.chat_request import DIALECT, ChatRequest
from tidegate.simulator.mistral.rejection import encode_error
from tidegate.simulator.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.signatures import sign
from tidegate.simulator.template import DATE, DONE, ID, Flaws, Mould

_encode = msgspec.json.encode

FLAWS: Final = Flaws(
    error_event=b"data: %b\n\n" % encode_error(Rejection.of_status(500)),
    broken_event=b'data: {"id":"broken","object":"chat.comple\n\n',
)


class _Answered(msgspec.Struct):
    """A choice and the signature of its thoughts."""

    choice: Choice
    signature: str

    @property
    def finish(self) -> str:
        """Of a prompt that it declines without a word there is an error; words that decline are words."""
        if self.choice.finish == "refusal":
            return "stop" if self.choice.tokens else "error"
        return self.choice.finish


def chat_reply(request: ChatRequest, behaviour: Behaviour, setting: Setting) -> Mould:
    """The answer, ready to be sent."""
    choices = [_answer(request, behaviour, setting, index) for index in range(request.n)]
    completion = sum(one.choice.completion_tokens for one in choices)
    usage = {"usage": _usage(request.prompt_tokens, completion, setting.cached_tokens)} if setting.usage else {}
    if request.stream:
        pieces = _events(choices, setting, usage, max(1, behaviour.tokens_per_event))
    else:
        told = [_whole(index, one) for index, one in enumerate(choices)]
        fields = {"id": ID, "object": "chat.completion", "created": DATE, "model": setting.model, **usage}
        pieces = [_encode({**fields, "choices": told})]
    mould = Mould(model=setting.model, pieces=pieces, flaws=FLAWS, stream=request.stream)
    mould.prompt_tokens = request.prompt_tokens
    mould.cached_tokens = setting.cached_tokens
    mould.completion_tokens = completion
    return mould


def _answer(request: ChatRequest, behaviour: Behaviour, setting: Setting, index: int) -> _Answered:
    rng = generator(setting.seed, setting.model, request.prompt, index)
    choice = compose(request, behaviour, rng)
    return _Answered(choice, _signed(choice, rng))


def _signed(choice: Choice, rng: random.Random) -> str:
    return sign(DIALECT, "".join(choice.thoughts), rng) if choice.thoughts else ""


def _usage(prompt: int, completion: int, cached: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _whole(index: int, answered: _Answered) -> dict[str, Any]:
    choice = answered.choice
    content: Any = choice.text
    if choice.thoughts:
        thought = {**_thinking("".join(choice.thoughts)), "signature": answered.signature, "closed": True}
        content = [thought, *([{"type": "text", "text": choice.text}] if choice.tokens else [])]
    calls = [_call(place, call) for place, call in enumerate(choice.calls)] or None
    message = {"role": "assistant", "tool_calls": calls, "content": content}
    return {"index": index, "message": message, "finish_reason": answered.finish}


def _thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _call(place: int, call: ToolCall) -> dict[str, Any]:
    """Ids are of nine letters and digits."""
    function = {"name": call.tool.name, "arguments": call.arguments}
    return {"id": call.digits[:9], "function": function, "index": place}


def _events(choices: list[_Answered], setting: Setting, usage: dict[str, Any], size: int) -> list[bytes]:
    events: list[bytes] = []

    def add(index: int, delta: dict[str, Any], finish: str | None = None, **more: Any) -> None:
        fields = {"id": ID, "object": "chat.completion.chunk", "created": DATE, "model": setting.model}
        told = {**fields, "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **more}
        events.append(b"data: %b\n\n" % _encode(told))

    for index, answered in enumerate(choices):
        choice = answered.choice
        add(index, {"role": "assistant", "content": ""})
        for part in _parts(choice.thoughts, size):
            add(index, {"content": [_thinking(part)]})
        if choice.thoughts:
            add(index, {"content": [{**_thinking(""), "signature": answered.signature, "closed": True}]})
        for part in _parts(choice.tokens, size):
            add(index, {"content": part})
        last: dict[str, Any] = {"content": ""}
        if choice.calls:
            last["tool_calls"] = [_call(place, call) for place, call in enumerate(choice.calls)]
        add(index, last, answered.finish, **(usage if index == len(choices) - 1 else {}))
    return [*events, DONE]


def _parts(tokens: list[str], size: int) -> list[str]:
    return ["".join(tokens[start : start + size]) for start in range(0, len(tokens), size)]
