"""Decides what a simulated model says: thoughts, text, tool calls, where it stops. Knows nothing of how it is encoded."""

import hashlib
import random
import re
from typing import Any, Final, Literal

from msgspec import Struct

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.invention import invent_json, invent_prose, invent_tokens, split_tokens

_THOUGHT_TOKENS: Final = 24
"""Of an answer that is to show its thoughts, where the model's `reasoningTokens` are 0."""
_REFUSAL: Final = "I can't help with that."


class Tool(Struct, frozen=True):
    """`function` with a JSON schema, or `custom` with a free text as input."""

    kind: Literal["function", "custom"]
    name: str
    parameters: dict[str, Any]


class Conversation(Struct, kw_only=True):
    """A request for an answer, in whatever dialect it came: what the answer depends on."""

    prompt: bytes
    """Roles and contents, one after the other: the same conversation gives the same bytes."""
    prompt_tokens: int
    last_text: str
    """Of the last message."""
    answers_tool: bool
    """The last message is a tool's result."""
    stream: bool
    limit: int | None
    stop: tuple[str, ...]
    tools: tuple[Tool, ...]
    tool_choice: str
    """`none`, `auto`, `required`, or `=name`."""
    parallel: bool
    json_schema: dict[str, Any] | None
    """Of the answer's text; None: prose."""
    thinks: bool = False
    """The thoughts before the answer are to be seen."""


class ToolCall(Struct, frozen=True):
    id: str
    tool: Tool
    arguments: str
    """JSON for a function, any text for a custom tool."""

    @property
    def digits(self) -> str:
        """What is unique in the id, for dialects with other prefixes."""
        return self.id.removeprefix("call_")


class Choice(Struct, frozen=True):
    """One answer to a request."""

    tokens: list[str]
    calls: list[ToolCall]
    finish: str
    """`stop`, `length`, `tool_calls` or `refusal`; a dialect may have more."""
    reasoning_tokens: int
    thoughts: list[str] = []
    """The reasoning's tokens, if they are to be seen."""
    stop_sequence: str | None = None
    """What ended it, if one of the request's stop sequences did."""

    refused: bool = False
    """The tokens, if there are any, say that the model declines."""

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


def compose(asked: Conversation, behaviour: Behaviour, rng: random.Random) -> Choice:
    """What the model answers."""
    if behaviour.refusal:
        said = split_tokens(_REFUSAL) if behaviour.refusal == "answer" else []
        return Choice(said, [], "refusal", 0, refused=True)
    limit = behaviour.max_output_tokens if asked.limit is None else asked.limit
    calls = _compose_calls(asked, rng)
    if calls:
        thoughts = _compose_thoughts(asked, behaviour, rng, behaviour.reasoning_tokens.draw_count(rng), limit)
        return Choice([], calls, "tool_calls", len(thoughts), thoughts)
    reasoning = behaviour.reasoning_tokens.draw_count(rng)
    if asked.json_schema is not None and behaviour.text is None:
        tokens = split_tokens(invent_json(rng, asked.json_schema))
    else:
        tokens = compose_text(behaviour, rng)
    thoughts = _compose_thoughts(asked, behaviour, rng, reasoning, limit)
    reasoning = len(thoughts) if asked.thinks else min(reasoning, limit)
    tokens, finish, sequence = cut_where(tokens, limit - reasoning, asked.stop)
    return Choice(tokens, [], finish, reasoning, thoughts, sequence)


def _compose_thoughts(
    asked: Conversation, behaviour: Behaviour, rng: random.Random, count: int, limit: int
) -> list[str]:
    if not asked.thinks:
        return []
    if not count and behaviour.reasoning_tokens.constant == 0:
        count = _THOUGHT_TOKENS
    return invent_tokens(rng, min(count, limit))


def compose_text(behaviour: Behaviour, rng: random.Random) -> list[str]:
    """The tokens of an answer that nothing bounds."""
    if behaviour.text is not None:
        return split_tokens(behaviour.text)
    invent = invent_prose if behaviour.tokens.constant is None else invent_tokens
    return invent(rng, behaviour.tokens.draw_count(rng))


def cut(tokens: list[str], limit: int, stop: tuple[str, ...]) -> tuple[list[str], str]:
    """→ tokens up to the first stop sequence or the limit, whichever comes first, and the finish reason."""
    return cut_where(tokens, limit, stop)[:2]


def cut_where(tokens: list[str], limit: int, stop: tuple[str, ...]) -> tuple[list[str], str, str | None]:
    """As `cut`, and the stop sequence that was met."""
    finish = "stop"
    if len(tokens) > limit:
        tokens, finish = tokens[:limit], "length"
    text = "".join(tokens)
    ends = [(end, sequence) for sequence in stop if (end := text.find(sequence)) >= 0]
    if not ends:
        return tokens, finish, None
    end, sequence = min(ends)
    return _shorten(tokens, end), "stop", sequence


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


def _compose_calls(asked: Conversation, rng: random.Random) -> list[ToolCall]:
    return [
        ToolCall(f"call_{rng.getrandbits(96):024x}", tool, _compose_arguments(tool, rng)) for tool in _wanted(asked)
    ]


def _wanted(asked: Conversation) -> list[Tool]:
    """The tools to call: those that must be, or those that the last message talks about."""
    choice = asked.tool_choice
    if choice.startswith("="):
        return [tool for tool in asked.tools if tool.name == choice[1:]]
    if choice == "none" or asked.answers_tool:
        return []
    spoken = set(re.findall(r"[a-z0-9]+", asked.last_text.lower()))
    wanted = [tool for tool in asked.tools if _is_meant(tool, spoken)]
    if choice == "required" and not wanted:
        wanted = list(asked.tools[:1])
    return wanted if asked.parallel else wanted[:1]


def _is_meant(tool: Tool, spoken: set[str]) -> bool:
    """The name, or a word of the name that is more than a verb's length."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", tool.name).lower())
    return any(len(word) > 3 and word in spoken for word in words)


def _compose_arguments(tool: Tool, rng: random.Random) -> str:
    if tool.kind == "custom":
        return "".join(invent_tokens(rng, 8))
    schema: dict[str, Any] = {"type": "object", **tool.parameters}
    return invent_json(rng, schema)
