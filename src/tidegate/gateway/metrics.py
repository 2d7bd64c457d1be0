"""Counters of the data plane: plain integers and fixed-bucket arrays, rendered as Prometheus text when scraped.

Names follow the OpenTelemetry GenAI conventions where they have one, Prometheus' otherwise. Label values come from the
configuration alone (models, providers) or from fixed sets, so that no client can make a series; all else is `other`.
"""

import os
import resource
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from tidegate.core.money import usd_from_nano
from tidegate.core.usage import UsageEvent

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_MILLIS: Final = tuple(bound * 1000 for bound in _SECONDS)
_MAX_OUTCOMES: Final = 64
"""Of one series, before further codes are counted together."""

Sample = tuple[str, tuple[tuple[str, str], ...], int | float | str]
"""(metric name, labels, value): how other parts of the worker add gauges to a scrape."""


class Histogram:
    """Fixed bounds in milliseconds, rendered in seconds."""

    __slots__ = ("counts", "total_ms")

    def __init__(self) -> None:
        self.counts = [0] * (len(_MILLIS) + 1)
        self.total_ms = 0

    def observe(self, ms: int) -> None:
        self.counts[bisect_left(_MILLIS, ms)] += 1
        self.total_ms += ms


class CallSeries:
    """Everything counted for one (operation, model, provider)."""

    __slots__ = (
        "cost_nano",
        "duration",
        "first_byte",
        "outcomes",
        "tokens_cached",
        "tokens_input",
        "tokens_output",
        "unknown_cost",
    )

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, int, str], int] = {}
        self.duration = Histogram()
        self.first_byte = Histogram()
        self.tokens_input = 0
        self.tokens_cached = 0
        self.tokens_output = 0
        self.cost_nano = 0
        self.unknown_cost = 0


class Metrics:
    """One per worker."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str, str], CallSeries] = {}
        self._attempts: dict[tuple[str, str], int] = {}
        self.unauthenticated = 0
        self.in_flight = 0
        self.records_lost = 0

    def call(self, event: UsageEvent, *, known_model: bool) -> None:
        """Counts a finished call. `known_model`: the model is one of the configuration's."""
        key = (event.operation, event.model if known_model else "other", event.provider)
        series = self._calls.get(key)
        if series is None:
            series = self._calls[key] = CallSeries()
        outcome = (event.outcome, event.status, event.code)
        if len(series.outcomes) >= _MAX_OUTCOMES and outcome not in series.outcomes:
            outcome = (event.outcome, event.status, "other")  # codes may be an upstream's own words
        series.outcomes[outcome] = series.outcomes.get(outcome, 0) + 1
        if event.outcome == "refused":
            return
        series.duration.observe(event.total_ms)
        if event.first_byte_ms is not None:
            series.first_byte.observe(event.first_byte_ms)
        usage = event.usage
        cached = usage.cached
        series.tokens_cached += cached
        series.tokens_input += usage.input_total - cached
        series.tokens_output += usage.output_total
        if event.cost_nano is None:
            series.unknown_cost += 1
        else:
            series.cost_nano += event.cost_nano

    def attempt(self, provider: str, outcome: str) -> None:
        """`outcome` is `ok` or a fault's name: a fixed set."""
        key = (provider, outcome)
        self._attempts[key] = self._attempts.get(key, 0) + 1

    def render(self, samples: Iterable[Sample]) -> bytes:
        """The text exposition format, version 0.0.4."""
        text = _Exposition()
        for sample in self._own_samples():
            text.add(*sample)
        for (operation, model, provider), series in self._calls.items():
            labels = (
                ("gen_ai_operation_name", operation),
                ("gen_ai_request_model", model),
                ("gen_ai_provider_name", provider),
            )
            text.histogram("gen_ai_server_request_duration_seconds", labels, series.duration)
            text.histogram("gen_ai_server_time_to_first_token_seconds", labels, series.first_byte)
        for sample in samples:
            text.add(*sample)
        return text.encode()

    def _own_samples(self) -> Iterator[Sample]:
        for (operation, model, provider), series in self._calls.items():
            labels = (("operation", operation), ("model", model), ("provider", provider))
            for (outcome, status, code), count in series.outcomes.items():
                told = (("outcome", outcome), ("status", str(status)), ("code", code))
                yield "tidegate_calls_total", labels + told, count
            yield "tidegate_tokens_total", (*labels, ("type", "input")), series.tokens_input
            yield "tidegate_tokens_total", (*labels, ("type", "cached_input")), series.tokens_cached
            yield "tidegate_tokens_total", (*labels, ("type", "output")), series.tokens_output
            yield "tidegate_cost_usd_total", labels, usd_from_nano(series.cost_nano)
            yield "tidegate_unknown_cost_calls_total", labels, series.unknown_cost
        for (provider, outcome), count in self._attempts.items():
            yield "tidegate_attempts_total", (("provider", provider), ("outcome", outcome)), count
        yield "tidegate_unauthenticated_total", (), self.unauthenticated
        yield "tidegate_calls_in_flight", (), self.in_flight
        yield "tidegate_records_lost_total", (), self.records_lost
        own = resource.getrusage(resource.RUSAGE_SELF)
        yield "process_cpu_seconds_total", (), round(own.ru_utime + own.ru_stime, 3)
        yield "process_resident_memory_bytes", (), _resident_bytes()


HELP: Final[dict[str, tuple[str, str]]] = {
    "gen_ai_server_request_duration_seconds": ("histogram", "From a call's arrival to its last byte."),
    "gen_ai_server_time_to_first_token_seconds": ("histogram", "From a call's arrival to its first content byte."),
    "tidegate_calls_total": ("counter", "Authenticated calls by outcome, status and problem code."),
    "tidegate_tokens_total": ("counter", "Tokens by type; input excludes cached input."),
    "tidegate_cost_usd_total": ("counter", "Known cost in USD."),
    "tidegate_unknown_cost_calls_total": ("counter", "Calls whose price or usage is unknown. Alarm on any increase."),
    "tidegate_attempts_total": ("counter", "Calls of upstreams by outcome."),
    "tidegate_unauthenticated_total": ("counter", "Requests without a known key."),
    "tidegate_calls_in_flight": ("gauge", "Calls admitted and not yet settled."),
    "tidegate_records_lost_total": ("counter", "Usage events that could not be recorded. Alarm on any increase."),
    "tidegate_bucket_used": ("gauge", "Used and reserved amount of a limit or budget, in its unit."),
    "tidegate_bucket_limit": ("gauge", "The limit of a bucket, in its unit."),
    "tidegate_reserved": ("gauge", "Nano-USD and tokens reserved by calls in flight."),
    "tidegate_breaker_open": ("gauge", "1 while a target's circuit is open."),
    "tidegate_upstream_connections": ("gauge", "Connections to a provider, by state."),
    "tidegate_client_connections": ("gauge", "Open client connections."),
    "tidegate_remote_files_total": (
        "counter",
        "Files that calls gave by URL: fetched, kept, shared with a call, failed.",
    ),
    "tidegate_spool_ready": ("gauge", "1 while usage events can be recorded; at 0 new calls are refused."),
    "tidegate_snapshot_info": ("gauge", "The loaded configuration's version."),
    "process_cpu_seconds_total": ("counter", "CPU time of the worker."),
    "process_resident_memory_bytes": ("gauge", "Resident memory of the worker."),
}
"""Type and help text of every metric: the reference in docs/operations.md is checked against it."""


class _Exposition:
    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}

    def add(self, name: str, labels: tuple[tuple[str, str], ...], value: int | float | str) -> None:
        self._lines(name).append(f"{name}{_labels(labels)} {value}")

    def histogram(self, name: str, labels: tuple[tuple[str, str], ...], histogram: Histogram) -> None:
        lines, running = self._lines(name), 0
        for bound, count in zip((*map(str, _SECONDS), "+Inf"), histogram.counts, strict=True):
            running += count
            lines.append(f"{name}_bucket{_labels((*labels, ('le', bound)))} {running}")
        lines.append(f"{name}_sum{_labels(labels)} {histogram.total_ms / 1000}")
        lines.append(f"{name}_count{_labels(labels)} {running}")

    def _lines(self, name: str) -> list[str]:
        lines = self._families.get(name)
        if lines is None:
            kind, text = HELP[name]
            lines = self._families[name] = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        return lines

    def encode(self) -> bytes:
        return ("\n".join(line for lines in self._families.values() for line in lines) + "\n").encode()


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
