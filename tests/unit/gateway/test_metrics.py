"""Metrics: the text format, what is counted, and that no client or upstream can make a series without end."""

from typing import Any

import pytest
from tests.support.exposition import Family, read_exposition

from tidegate.core.usage import Usage, UsageEvent
from tidegate.gateway.metrics import HELP, Metrics

_EVENT: dict[str, Any] = {
    "id": "tg_1",
    "time_ns": 1_700_000_000_000_000_000,
    "team": "harbour",
    "consumer": "assistant",
    "key": "0123456789ab",
    "model": "gpt-4.1",
    "provider": "openai",
    "upstream_model": "gpt-4.1-2025-04-14",
    "operation": "chat",
    "dialect": "openai",
    "status": 200,
    "outcome": "ok",
    "code": "",
    "stream": False,
    "attempts": 1,
    "usage": Usage(source="reported"),
    "cost_nano": 0,
    "charged_nano": 0,
    "price_version": "config",
    "first_byte_ms": None,
    "total_ms": 0,
    "snapshot": "s",
}
CALL = {"operation": "chat", "model": "gpt-4.1", "provider": "openai"}
GEN_AI = {"gen_ai_operation_name": "chat", "gen_ai_request_model": "gpt-4.1", "gen_ai_provider_name": "openai"}


def event(**fields: Any) -> UsageEvent:
    return UsageEvent(**{**_EVENT, **fields})


def scraped(metrics: Metrics) -> dict[str, Family]:
    return read_exposition(metrics.render(()))


def one(family: Family, ending: str = "", **labels: str) -> float:
    return family.values(ending)[frozenset(labels.items())]


def test_a_fresh_worker_already_has_what_alarms_look_at() -> None:
    found = scraped(Metrics())
    assert one(found["tidegate_records_lost_total"]) == 0
    assert one(found["tidegate_unauthenticated_total"]) == 0
    assert one(found["tidegate_calls_in_flight"]) == 0
    assert one(found["process_resident_memory_bytes"]) > 1_000_000
    assert one(found["process_cpu_seconds_total"]) > 0


def test_a_call_is_counted_once_in_everything() -> None:
    metrics = Metrics()
    usage = Usage(input=10, cache_read=5, input_audio=2, output=7, reasoning=4, source="reported")
    metrics.call(event(usage=usage, cost_nano=3_840_001), known_model=True)
    metrics.call(event(usage=usage, cost_nano=10_000_000), known_model=True)
    found = scraped(metrics)
    assert one(found["tidegate_calls_total"], **CALL, outcome="ok", status="200", code="") == 2
    tokens = found["tidegate_tokens_total"]
    assert [one(tokens, **CALL, type=kind) for kind in ("input", "cached_input", "output")] == [24, 10, 22]
    assert b"} 0.013840001\n" in metrics.render(())
    assert one(found["tidegate_cost_usd_total"], **CALL) == 0.013840001
    assert one(found["tidegate_unknown_cost_calls_total"], **CALL) == 0


def test_an_unknown_cost_is_counted_apart() -> None:
    metrics = Metrics()
    metrics.call(event(cost_nano=None), known_model=True)
    found = scraped(metrics)
    assert one(found["tidegate_unknown_cost_calls_total"], **CALL) == 1
    assert one(found["tidegate_cost_usd_total"], **CALL) == 0


def test_a_refusal_is_counted_and_has_no_duration() -> None:
    metrics = Metrics()
    metrics.call(event(outcome="refused", status=429, code="rate_limit_exceeded", cost_nano=None), known_model=True)
    found = scraped(metrics)
    refused = {"outcome": "refused", "status": "429", "code": "rate_limit_exceeded"}
    assert one(found["tidegate_calls_total"], **CALL, **refused) == 1
    assert one(found["gen_ai_server_request_duration_seconds"], "_count", **GEN_AI) == 0
    assert one(found["tidegate_unknown_cost_calls_total"], **CALL) == 0


@pytest.mark.parametrize(
    ("ms", "bound", "inside"),
    [
        (0, "0.005", 1),
        (5, "0.005", 1),
        (6, "0.005", 0),
        (6, "0.01", 1),
        (1000, "1.0", 1),
        (1001, "1.0", 0),
        (300_000, "300.0", 1),
        (300_001, "300.0", 0),
        (300_001, "+Inf", 1),
    ],
)
def test_a_bound_is_a_part_of_its_bucket(ms: int, bound: str, inside: int) -> None:
    metrics = Metrics()
    metrics.call(event(total_ms=ms, first_byte_ms=ms), known_model=True)
    found = scraped(metrics)
    for name in ("gen_ai_server_request_duration_seconds", "gen_ai_server_time_to_first_token_seconds"):
        assert one(found[name], "_bucket", **GEN_AI, le=bound) == inside
        assert one(found[name], "_sum", **GEN_AI) == ms / 1000


def test_no_first_byte_is_no_observation() -> None:
    metrics = Metrics()
    metrics.call(event(total_ms=10, first_byte_ms=None), known_model=True)
    found = scraped(metrics)
    assert one(found["gen_ai_server_time_to_first_token_seconds"], "_count", **GEN_AI) == 0
    assert one(found["gen_ai_server_request_duration_seconds"], "_count", **GEN_AI) == 1


def test_attempts() -> None:
    metrics = Metrics()
    for outcome in ("ok", "503", "ok", "connect"):
        metrics.attempt("openai", outcome)
    attempts = scraped(metrics)["tidegate_attempts_total"]
    assert [one(attempts, provider="openai", outcome=told) for told in ("ok", "503", "connect")] == [2, 1, 1]


def test_models_that_clients_invent_share_one_series() -> None:
    metrics = Metrics()
    metrics.call(event(), known_model=True)
    size = len(metrics.render(()).splitlines())
    for number in range(200):
        metrics.call(event(model=f"invented-{number}", provider="", outcome="refused", status=404), known_model=False)
    found = scraped(metrics)
    told = {"operation": "chat", "model": "other", "provider": "", "outcome": "refused", "status": "404", "code": ""}
    assert one(found["tidegate_calls_total"], **told) == 200
    assert len(metrics.render(()).splitlines()) < 3 * size


def test_codes_that_upstreams_invent_are_bounded_and_none_is_lost() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.call(event(outcome="failed", status=400, code=f"invented-{number}"), known_model=True)
    metrics.call(event(outcome="failed", status=400, code="invented-0"), known_model=True)
    calls = scraped(metrics)["tidegate_calls_total"].values()
    assert sum(calls.values()) == 1001
    assert len(calls) <= 100
    failed = {"outcome": "failed", "status": "400"}
    assert calls[frozenset({**CALL, **failed, "code": "invented-0"}.items())] == 2
    assert calls[frozenset({**CALL, **failed, "code": "other"}.items())] > 900


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "new\nline", '\\"', "\\n", "slash\\", "a,b}", "潮"])
def test_names_are_escaped(name: str) -> None:
    metrics = Metrics()
    metrics.call(event(model=name), known_model=True)
    found = scraped(metrics)
    assert one(found["tidegate_cost_usd_total"], operation="chat", model=name, provider="openai") == 0


def test_samples_of_others_are_joined_to_their_family() -> None:
    samples = [
        ("tidegate_bucket_used", (("bucket", "a"), ("kind", "money")), 1),
        ("tidegate_bucket_limit", (("bucket", "a"), ("kind", "money")), 10),
        ("tidegate_bucket_used", (("bucket", "b"), ("kind", "money")), 2),
    ]
    found = read_exposition(Metrics().render(samples))
    assert one(found["tidegate_bucket_used"], bucket="b", kind="money") == 2
    assert found["tidegate_bucket_used"].type == "gauge"


def test_a_metric_without_help_is_a_fault() -> None:
    with pytest.raises(KeyError):
        Metrics().render([("tidegate_unheard_of", (), 1)])


def test_names_say_their_type_and_help_is_one_line() -> None:
    for name, (kind, text) in HELP.items():
        assert (kind == "counter") == name.endswith("_total"), name
        assert text and "\n" not in text and "\\" not in text, name
        if kind == "histogram":
            assert name.endswith("_seconds")


@pytest.mark.parametrize(
    "text",
    [
        b"# HELP a b\n# TYPE a counter\na 1",
        b"a 1\n",
        b"# HELP a b\n# TYPE a counter\nb 1\n",
        b"# HELP a b\n# TYPE a counter\na 1\na 1\n",
        b'# HELP a b\n# TYPE a counter\na{x="\\q"} 1\n',
        b'# HELP a b\n# TYPE a counter\na{x="1" y="2"} 1\n',
        b"# HELP a b\n# TYPE a counter\na one\n",
        b"# HELP a b\n# TYPE a thing\na 1\n",
        b'# HELP a b\n# TYPE a histogram\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
        b'# HELP a b\n# TYPE a histogram\na_bucket{le="+Inf"} 2\na_sum 1\na_count 1\n',
    ],
)
def test_the_reader_is_strict(text: bytes) -> None:
    with pytest.raises(AssertionError):
        read_exposition(text)
