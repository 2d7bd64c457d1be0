"""Decides what a simulated model says: text, tool calls, where it stops. Knows nothing of how it is encoded."""

import hashlib
import random
import re
from typing import Any

from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.invention import invent_json, invent_prose, invent_tokens, split_tokens
from tidegate.simulator.openai.chat_request import ChatRequest, Tool


class ToolCall(Struct, frozen=True):
    id: str
    tool: Tool
    arguments: str
    """JSON for a function, any text for a custom tool."""


class Choice(Struct, frozen=True):
    """One of the `n` answers to a request."""

    tokens: list[str]
    calls: list[ToolCall]
    finish: str
    reasoning_tokens: int

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def completion_tokens(self) -> int:
        return len(self.tokens) + self.reasoning_tokens + sum(call_tokens(call) for call in self.calls)


def generator(seed: int, *parts: bytes | str | int) -> random.Random:
    """Randomness that depends on nothing but the parts."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (seed, *parts):
        digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\0")
    return random.Random(digest.digest())


def compose_choice(request: ChatRequest, behaviour: Behaviour, rng: random.Random) -> Choice:
    """What the model answers."""
    calls = _compose_calls(request, rng)
    if calls:
        forced = request.tool_choice.startswith("=") and not request.legacy_functions
        finish = "function_call" if request.legacy_functions else "tool_calls"
        return Choice([], calls, "stop" if forced else finish, 0)  # OpenAI says `stop` when the tool was named
    reasoning = behaviour.reasoning_tokens.draw_count(rng)
    if request.json_schema is not None and behaviour.text is None:
        tokens = split_tokens(invent_json(rng, request.json_schema))
    else:
        tokens = compose_text(behaviour, rng)
    limit = behaviour.max_output_tokens if request.limit is None else request.limit
    reasoning = min(reasoning, limit)
    tokens, finish = cut(tokens, limit - reasoning, request.stop)
    return Choice(tokens, [], finish, reasoning)


def compose_text(behaviour: Behaviour, rng: random.Random) -> list[str]:
    """The tokens of an answer that nothing bounds."""
    if behaviour.text is not None:
        return split_tokens(behaviour.text)
    invent = invent_prose if behaviour.tokens.constant is None else invent_tokens
    return invent(rng, behaviour.tokens.draw_count(rng))


def cut(tokens: list[str], limit: int, stop: tuple[str, ...]) -> tuple[list[str], str]:
    """→ tokens up to the first stop sequence or the limit, whichever comes first, and the finish reason."""
    finish = "stop"
    if len(tokens) > limit:
        tokens, finish = tokens[:limit], "length"
    text = "".join(tokens)
    ends = [end for end in (text.find(sequence) for sequence in stop) if end >= 0]
    if not ends:
        return tokens, finish
    return _shorten(tokens, min(ends)), "stop"


def _shorten(tokens: list[str], length: int) -> list[str]:
    kept: list[str] = []
    for token in tokens:
        if length <= 0:
            break
        kept.append(token[:length])
        length -= len(token)
    return kept


def call_tokens(call: ToolCall) -> int:
    """A name is two tokens."""
    return 2 + len(split_tokens(call.arguments))


def _compose_calls(request: ChatRequest, rng: random.Random) -> list[ToolCall]:
    return [
        ToolCall(f"call_{rng.getrandbits(96):024x}", tool, _compose_arguments(tool, rng)) for tool in _wanted(request)
    ]


def _wanted(request: ChatRequest) -> list[Tool]:
    """The tools to call: those that must be, or those that the last message talks about."""
    choice = request.tool_choice
    if choice.startswith("="):
        return [tool for tool in request.tools if tool.name == choice[1:]]
    if choice == "none" or request.answers_tool:
        return []
    spoken = set(re.findall(r"[a-z0-9]+", request.last_text.lower()))
    wanted = [tool for tool in request.tools if _is_meant(tool, spoken)]
    if choice == "required" and not wanted:
        wanted = list(request.tools[:1])
    return wanted if request.parallel and not request.legacy_functions else wanted[:1]


def _is_meant(tool: Tool, spoken: set[str]) -> bool:
    """The name, or a word of the name that is more than a verb's length."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", tool.name).lower())
    return any(len(word) > 3 and word in spoken for word in words)


def _compose_arguments(tool: Tool, rng: random.Random) -> str:
    if tool.kind == "custom":
        return "".join(invent_tokens(rng, 8))
    schema: dict[str, Any] = {"type": "object", **tool.parameters}
    return invent_json(rng, schema)
