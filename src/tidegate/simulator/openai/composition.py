"""What a simulated model says to a chat completion request, with OpenAI's finish reasons."""

import random
from typing import Final

import msgspec

from tidegate.simulator.behaviour import Behaviour
from tidegate.simulator.composition import Choice, compose, cut
from tidegate.simulator.openai.chat_request import ChatRequest

__all__ = ["Choice", "compose_choice", "cut"]

_REFUSED: Final = {"answer": "stop", "prompt": "content_filter"}


def compose_choice(request: ChatRequest, behaviour: Behaviour, rng: random.Random) -> Choice:
    """One of the `n` answers."""
    choice = compose(request, behaviour, rng)
    if choice.finish == "refusal":
        return msgspec.structs.replace(choice, finish=_REFUSED[behaviour.refusal])
    if not choice.calls:
        return choice
    finish = "tool_calls"
    if request.legacy_functions:
        finish = "function_call"
    elif request.tool_choice.startswith("="):
        finish = "stop"  # OpenAI says so when the tool was named
    return msgspec.structs.replace(choice, finish=finish)
