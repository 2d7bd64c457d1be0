"""What a simulated model remembers between calls: its randomness, its script, its rate window, its prompt cache."""

import hashlib
import math
import random
from collections import OrderedDict
from typing import Final, NamedTuple

from tidegate.simulator.behaviour import FAULTS, Behaviour, RateWindow, read_outcome
from tidegate.simulator.rejection import Rejection
from tidegate.wire.message import encode_headers

_BLOCK_TOKENS: Final = 128
_BLOCK_BYTES: Final = 4 * _BLOCK_TOKENS
_LEAST_CACHED: Final = 1024
_CACHED_BLOCKS: Final = 65_536
_USUAL_LIMITS: Final = RateWindow(requests=10_000, tokens=2_000_000)


class Allowance(NamedTuple):
    """What is left of one limit in its window."""

    name: str
    """`requests` or `tokens`."""
    limit: int
    remaining: int
    resets_in: float
    """Seconds."""


class ModelState:
    """One model. Draws are made in the order of its calls, so a seed and a sequence of calls give the same faults."""

    def __init__(self, name: str, behaviour: Behaviour, seed: int) -> None:
        self.name = name
        self.behaviour = behaviour
        self.rng = random.Random(f"{seed}/{name}")
        self._script_position = 0
        self._window_ends = 0.0
        self._requests = 0
        self._tokens = 0
        self._blocks: OrderedDict[bytes, None] = OrderedDict()

    def outcome(self, behaviour: Behaviour, tokens: int, now: float) -> str:
        """What happens to a call of so many tokens: "" (nothing), a fault's name, or `STATUS/code`. Raises Rejection.

        `now` is monotonic, in seconds.
        """
        if self._script_position < len(behaviour.script):
            self._script_position += 1
            step = behaviour.script[self._script_position - 1]
            return "" if step == "ok" else step
        self._take(behaviour, tokens, now)
        for outcome, share in (*behaviour.errors.items(), *behaviour.faults.items()):
            if self.rng.random() < share:
                return outcome
        return ""

    def rejection(self, outcome: str) -> Rejection | None:
        """The error that an outcome stands for, if it is not a fault."""
        if not outcome or outcome in FAULTS:
            return None
        return Rejection.of_status(*read_outcome(self.name, outcome))

    def retry_after(self, behaviour: Behaviour, status: int, now: float) -> float | None:
        """Seconds to tell with an error, or None."""
        if behaviour.retry_after is not None:
            return float(behaviour.retry_after)
        if status not in (429, 503):
            return None
        left = self._window_ends - now
        return left if status == 429 and left > 0 else 1.0

    def rate_headers(self, behaviour: Behaviour, now: float, azure: bool) -> bytes:
        """`x-ratelimit-…` as OpenAI has them; Azure tells what remains only, or its utilisation."""
        if azure and behaviour.utilization is not None:
            share = f"{behaviour.utilization * 100:.1f}%"
            return encode_headers([(b"azure-openai-deployment-utilization", share.encode())])
        lines: list[str] = []
        for name, bound, remaining, left in self.allowances(behaviour, now):
            lines.append(f"x-ratelimit-remaining-{name}: {remaining}\r\n")
            if not azure:
                lines.append(f"x-ratelimit-limit-{name}: {bound}\r\n")
                lines.append(f"x-ratelimit-reset-{name}: {_short_duration(left)}\r\n")
        return "".join(lines).encode()

    def allowances(self, behaviour: Behaviour, now: float) -> list[Allowance]:
        """What the model's limits leave; usual ones if it has none."""
        limit = behaviour.limit if behaviour.limit.requests or behaviour.limit.tokens else _USUAL_LIMITS
        left = max(0.0, self._window_ends - now)
        found: list[Allowance] = []
        if limit.requests:
            found.append(Allowance("requests", limit.requests, max(0, limit.requests - self._requests), left))
        if limit.tokens:
            found.append(Allowance("tokens", limit.tokens, max(0, limit.tokens - self._tokens), left))
        return found

    def cached_tokens(self, prompt: bytes, prompt_tokens: int) -> int:
        """How much of the prompt's beginning was seen before; remembers the prompt."""
        if prompt_tokens < _LEAST_CACHED:
            return 0
        digest = hashlib.blake2b(digest_size=12)
        found = 0
        for start in range(0, len(prompt) - _BLOCK_BYTES + 1, _BLOCK_BYTES):
            digest.update(prompt[start : start + _BLOCK_BYTES])
            block = digest.digest()  # of all up to here: it is known only if the whole beginning is
            found += _BLOCK_TOKENS * (block in self._blocks)
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > _CACHED_BLOCKS:
            self._blocks.popitem(last=False)
        return found if found >= _LEAST_CACHED else 0

    def _take(self, behaviour: Behaviour, tokens: int, now: float) -> None:
        if behaviour.utilization is not None and behaviour.utilization >= 1:
            text = "Requests to this provisioned deployment exceed its capacity. Please retry after 1 second."
            raise Rejection(429, text, kind="requests", code="rate_limit_exceeded", usual=True)
        limit = behaviour.limit
        if not limit.requests and not limit.tokens:
            return
        if now >= self._window_ends:
            self._window_ends = now + limit.window
            self._requests = self._tokens = 0
        if limit.requests and self._requests >= limit.requests:
            raise self._limited("requests", limit.requests, self._requests, 1, now)
        if limit.tokens and self._tokens + tokens > limit.tokens:
            raise self._limited("tokens", limit.tokens, self._tokens, tokens, now)
        self._requests += 1
        self._tokens += tokens

    def _limited(self, what: str, limit: int, used: int, asked: int, now: float) -> Rejection:
        wait = _short_duration(self._window_ends - now)
        text = (
            f"Rate limit reached for {self.name} in organization org-simulated on {what} per min: Limit {limit}, "
            f"Used {used}, Requested {asked}. Please try again in {wait}. Visit "
            "https://platform.openai.com/account/rate-limits to learn more."
        )
        return Rejection(429, text, kind=what, code="rate_limit_exceeded", usual=True)


def _short_duration(seconds: float) -> str:
    """`120ms`, `1.5s`, `6m0s`: OpenAI's way of writing what is left."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
