"""The log of calls that a simulator saw, so that tests can count and look at them. Bounded in count and bytes."""

import base64
from collections import Counter, deque
from typing import Any, Final

from tidegate.wire.message import Request

_KEPT_BODY_BYTES: Final = 32_768
_KEPT_CALLS: Final = 2_000


class Call:
    """One call. `outcome`: `running`, `completed`, `disconnected` (the client left first), `reset` (by us)."""

    __slots__ = (
        "body",
        "cached_tokens",
        "completion_tokens",
        "ended_ns",
        "events_sent",
        "fault",
        "headers",
        "key",
        "method",
        "model",
        "number",
        "outcome",
        "prompt_tokens",
        "received_ns",
        "status",
        "stream",
        "target",
    )

    def __init__(self, number: int, request: Request, received_ns: int) -> None:
        self.number = number
        self.method = request.method
        self.target = request.target
        self.headers = request.headers
        body = request.body
        self.body = body if len(body) <= _KEPT_BODY_BYTES else body[:_KEPT_BODY_BYTES]
        self.received_ns = received_ns
        self.ended_ns = 0
        self.key = ""
        self.model = ""
        self.status = 0
        self.fault = ""
        self.stream = False
        self.outcome = "running"
        self.events_sent = 0
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.completion_tokens = 0

    def as_json(self) -> dict[str, Any]:
        """All of it. A body that is not UTF-8 is given in base64 as `body_base64`; long ones are cut."""
        fields: dict[str, Any] = {
            name: getattr(self, name) for name in self.__slots__ if name not in ("headers", "body")
        }
        for name in ("method", "target"):
            fields[name] = fields[name].decode("latin-1")
        fields["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers]
        try:
            fields["body"] = self.body.decode()
        except UnicodeDecodeError:
            fields["body_base64"] = base64.b64encode(self.body).decode()
        return fields


class CallLog:
    """The latest calls, and counters of all."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=_KEPT_CALLS)
        self._models: dict[str, Counter[str]] = {}
        self.total = 0

    def open(self, request: Request, now_ns: int) -> Call:
        """A call came in."""
        self.total += 1
        call = Call(self.total, request, now_ns)
        self._calls.append(call)
        return call

    def close(self, call: Call, outcome: str, now_ns: int) -> None:
        """It is over. Idempotent."""
        if call.outcome != "running":
            return
        call.outcome = outcome
        call.ended_ns = now_ns
        counts = self._models.get(call.model)
        if counts is None:
            counts = self._models[call.model] = Counter()
        counts["calls"] += 1
        counts[outcome] += 1
        counts[f"status_{call.status}"] += 1
        if call.status == 200:
            counts["events_sent"] += call.events_sent
        if call.status == 200 and outcome == "completed":
            counts["prompt_tokens"] += call.prompt_tokens
            counts["cached_tokens"] += call.cached_tokens
            counts["completion_tokens"] += call.completion_tokens

    def recent(self, model: str | None = None, limit: int = _KEPT_CALLS) -> list[Call]:
        """The latest kept calls, oldest first."""
        found = [call for call in self._calls if model is None or call.model == model]
        return found[-limit:] if limit else []

    def counters(self) -> dict[str, dict[str, int]]:
        """By model, of the calls that are over; tokens of those answered in full."""
        return {model: dict(counts) for model, counts in self._models.items()}

    def reset(self) -> None:
        """Forgets everything."""
        self._calls.clear()
        self._models.clear()
        self.total = 0
