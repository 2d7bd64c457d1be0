"""The OpenAI dialect: what is read, what goes upstream, what comes back, byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from tidegate.core.problem import Problem
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.openai import AzureOpenAI, OpenAI
from tidegate.dialects.openai.usage import usage_of

DIALECT = OpenAI()


def body(**fields: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def refused(raw: bytes, operation: str = "chat") -> Problem:
    with pytest.raises(UnreadableRequest) as caught:
        DIALECT.read(operation, raw)
    return caught.value.problem


class TestRead:
    def test_the_fields_that_decisions_need(self) -> None:
        view = DIALECT.read("chat", body(stream=True, max_completion_tokens=7, n=3))
        assert (view.model, view.stream, view.max_output_tokens) == ("m", True, 21)
        assert view.worst_input_tokens >= view.estimated_input_tokens > 0

    def test_without_a_bound_the_output_is_unbounded(self) -> None:
        assert DIALECT.read("chat", body()).max_output_tokens is None
        assert DIALECT.read("chat", body(max_tokens=None)).max_output_tokens is None

    @pytest.mark.parametrize(
        "part",
        [
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "document_url", "document_url": "https://example.org/a.pdf"},
        ],
    )
    def test_documents_elsewhere_are_bounded_from_above(self, part: dict[str, object]) -> None:
        said = [{"role": "user", "content": [part]}]
        assert 200_000 < DIALECT.read("chat", body(messages=said)).worst_input_tokens < 201_000
        assert DIALECT.read("chat", body()).worst_input_tokens < 1_000

    def test_files_are_named_in_messages_alone(self) -> None:
        """What is in `metadata` is the client's own, and no file that another consumer may have."""
        said = [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]
        assert [one.name for one in DIALECT.read("chat", body(messages=said)).refers] == ["file-1"]
        assert DIALECT.read("chat", body(metadata={"file_id": "mine"})).refers == ()

    def test_of_two_bounds_the_larger_is_reserved(self) -> None:
        assert DIALECT.read("chat", body(max_tokens=5, max_completion_tokens=9)).max_output_tokens == 9
        assert DIALECT.read("chat", body(max_tokens=900, max_completion_tokens=1)).max_output_tokens == 900

    @pytest.mark.parametrize(
        ("prompt", "prompts"), [("a", 1), ([1, 2, 3], 1), (["a", "b"], 2), ([[1], [2], [3]], 3), ([], 1)]
    )
    def test_a_legacy_completion_counts_its_prompts(self, prompt: object, prompts: int) -> None:
        raw = json.dumps({"model": "m", "prompt": prompt, "max_tokens": 10, "n": 2, "best_of": 4}).encode()
        assert DIALECT.read("completion", raw).max_output_tokens == 10 * 4 * prompts

    def test_of_duplicate_keys_the_last_counts_and_only_it_goes_upstream(self) -> None:
        view = DIALECT.read("chat", b'{"model":"cheap","messages":[],"model":"dear"}')
        assert view.model == "dear"
        assert DIALECT.encode_request(view, UpstreamModel("x"), output_cap=None).count(b'"model"') == 1

    @pytest.mark.parametrize(
        ("raw", "field", "says"),
        [
            (b"", None, "no body"),
            (b"[1]", None, "JSON object"),
            (b"{", None, "not JSON"),
            (b'{"messages":[]}', "model", "missing"),
            (b'{"model":"","messages":[]}', "model", "not empty"),
            (b'{"model":7,"messages":[]}', "model", "string"),
            (b'{"model":"m"}', "messages", "missing"),
            (b'{"model":"m","messages":null}', "messages", "missing"),
            (b'{"model":"m","messages":[],"stream":"yes"}', "stream", "true or false"),
            (b'{"model":"m","messages":[],"max_tokens":0}', "max_tokens", "whole number"),
            (b'{"model":"m","messages":[],"max_tokens":1.5}', "max_tokens", "whole number"),
            (b'{"model":"m","messages":[],"n":-1}', "n", "whole number"),
            (b'{"model":"m","messages":[],"stream":true,"stream_options":3}', "stream_options", "object"),
            (b'{"model":"m","messages":["\xff"]}', None, "UTF-8"),
            (b'{"model":"m","messages":' + b"[" * 5000 + b"]" * 5000 + b"}", None, "nested"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, raw: bytes, field: str | None, says: str) -> None:
        problem = refused(raw)
        assert (problem.status, problem.code, problem.field) == (400, "invalid_request", field)
        assert says in problem.message

    @given(st.binary(max_size=300))
    def test_no_bytes_crash_it(self, raw: bytes) -> None:
        try:
            DIALECT.read("chat", raw)
        except UnreadableRequest:
            pass


class TestEncodeRequest:
    def test_every_value_keeps_its_bytes(self) -> None:
        raw = b'{"model":"a", "messages" : [ {"role":"user","content":"\\u00e9 \xc3\xa9"} ],"x_unknown":1.50e3}'
        sent = DIALECT.encode_request(DIALECT.read("chat", raw), UpstreamModel("b"), output_cap=None)
        assert sent == b'{"model":"b","messages":[ {"role":"user","content":"\\u00e9 \xc3\xa9"} ],"x_unknown":1.50e3}'

    def test_usage_is_asked_for_on_a_stream(self) -> None:
        view = DIALECT.read("chat", body(stream=True, stream_options={"include_obfuscation": False}))
        sent = json.loads(DIALECT.encode_request(view, UpstreamModel("b"), output_cap=None))
        assert sent["stream_options"] == {"include_obfuscation": False, "include_usage": True}

    def test_but_not_of_an_upstream_that_rejects_it(self) -> None:
        view = DIALECT.read("chat", body(stream=True))
        sent = json.loads(
            DIALECT.encode_request(view, UpstreamModel("b", frozenset({"no-stream-usage"})), output_cap=None)
        )
        assert "stream_options" not in sent

    def test_a_cap_only_where_the_client_set_none(self) -> None:
        free = DIALECT.encode_request(DIALECT.read("chat", body()), UpstreamModel("b"), output_cap=50)
        bound = DIALECT.read("chat", body(max_tokens=9))
        assert json.loads(free)["max_completion_tokens"] == 50
        assert b"50" not in DIALECT.encode_request(bound, UpstreamModel("b"), output_cap=50)

    @pytest.mark.parametrize(
        ("model", "quirk", "asked", "sent"),
        [
            ("deepseek-chat", "max-tokens", {}, {"max_tokens": 50}),
            ("deepseek-chat", "max-tokens", {"max_completion_tokens": 9}, {"max_tokens": 9}),
            ("deepseek-chat", "max-tokens", {"max_tokens": 9}, {"max_tokens": 9}),
            ("o3", "", {"max_tokens": 9}, {"max_completion_tokens": 9}),
            ("gpt-4.1", "", {"max_tokens": 9}, {"max_tokens": 9}),
            ("x", "max-tokens", {"max_tokens": 8, "max_completion_tokens": 9},
             {"max_tokens": 8, "max_completion_tokens": 9}),
            ("x", "max-tokens", {"max_tokens": None, "max_completion_tokens": 9}, {"max_tokens": 9}),
            ("x", "max-tokens", {"max_tokens": 9, "max_completion_tokens": None},
             {"max_tokens": 9, "max_completion_tokens": None}),
            ("o3", "", {"max_tokens": 9, "max_completion_tokens": None}, {"max_completion_tokens": 9}),
        ],
    )  # fmt: skip
    def test_a_bound_has_the_name_that_the_upstream_obeys(
        self, model: str, quirk: str, asked: dict[str, int | None], sent: dict[str, int | None]
    ) -> None:
        """One that it passes over would be no bound, under a hard budget neither."""
        upstream = UpstreamModel(model, frozenset((quirk,)))
        told = json.loads(DIALECT.encode_request(DIALECT.read("chat", body(**asked)), upstream, output_cap=50))
        assert {name: value for name, value in told.items() if name.startswith("max_")} == sent


class TestUsage:
    def test_buckets_are_disjoint(self) -> None:
        usage = usage_of(
            b'{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,'
            b'"prompt_tokens_details":{"cached_tokens":60,"audio_tokens":5},'
            b'"completion_tokens_details":{"reasoning_tokens":20}}'
        )
        assert (usage.input, usage.cache_read, usage.input_audio) == (35, 60, 5)
        assert (usage.output, usage.reasoning) == (30, 20)
        assert (usage.total, usage.source) == (150, "reported")

    @pytest.mark.parametrize("raw", [b"null", b"{}", b"7", b'{"completion_tokens":3}', b'{"prompt_tokens":"x"}'])
    def test_what_is_missing_is_unknown_and_never_zero(self, raw: bytes) -> None:
        assert usage_of(raw).source == "unknown"

    def test_an_answer_that_is_not_json_is_no_answer(self) -> None:
        with pytest.raises(UnreadableAnswer):
            DIALECT.read_answer("chat", b"<html>busy</html>")


class TestRerank:
    def test_natively(self) -> None:
        view = DIALECT.read("rerank", b'{"model":"m","query":"tide","documents":["a", "b"],"return_documents":true}')
        assert (view.stream, view.max_output_tokens) == (False, 0)
        sent = DIALECT.encode_request(view, UpstreamModel("b"), output_cap=9)
        assert sent == b'{"model":"b","query":"tide","documents":["a", "b"],"return_documents":true}'
        assert DIALECT.upstream_path("rerank", "m", "/v1", None, stream=False) == "/v1/rerank"

    @pytest.mark.parametrize(
        ("usage", "tokens"),
        [(b'{"total_tokens":7}', 7), (b'{"prompt_tokens":7,"total_tokens":7}', 7), (b"{}", None), (b"3", None)],
    )
    def test_usage_may_be_a_total_alone(self, usage: bytes, tokens: int | None) -> None:
        answer = DIALECT.read_answer("rerank", b'{"model":"x","results":[],"usage":' + usage + b"}")
        assert (answer.usage.total if answer.usage.source == "reported" else None) == tokens


def chunk(**fields: object) -> bytes:
    told = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real-1", "usage": None, **fields}
    return b"data: " + json.dumps(told, separators=(",", ":")).encode() + b"\n\n"


def delta(text: str, finish: str | None = None) -> bytes:
    return chunk(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish}])


USAGE_CHUNK = chunk(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})


class TestStream:
    def test_the_usage_chunk_is_folded_and_withheld(self) -> None:
        reader = DIALECT.stream_reader(DIALECT.read("chat", body(stream=True)))
        events = [chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}]), delta("a"), delta("b")]
        told = [reader.read(event) for event in [*events, USAGE_CHUNK, b"data: [DONE]\n\n"]]
        assert [one.content for one in told] == [False, True, True, False, False]
        assert told[3].bytes == b""
        assert told[4].done
        assert reader.usage is not None
        assert reader.usage.total == 5
        for one in told[:3]:
            parsed = ChatCompletionChunk.model_validate_json(one.bytes.removeprefix(b"data: "))
            assert parsed.model == "m"
            assert b"usage" not in one.bytes

    def test_a_client_that_asked_gets_it(self) -> None:
        view = DIALECT.read("chat", body(stream=True, stream_options={"include_usage": True}))
        reader = DIALECT.stream_reader(view)
        told = [reader.read(event) for event in (delta("a"), USAGE_CHUNK)]
        assert b'"usage":null' in told[0].bytes
        assert b'"prompt_tokens":3' in told[1].bytes

    def test_text_that_looks_like_a_model_field_is_left_alone(self) -> None:
        reader = DIALECT.stream_reader(DIALECT.read("chat", body(stream=True)))
        reader.read(delta("start"))
        text = 'say "model":"real-1" and "usage":null, "error"'
        told = reader.read(delta(text))
        assert json.loads(told.bytes.removeprefix(b"data: "))["choices"][0]["delta"]["content"] == text
        assert told.fault is None

    def test_an_error_in_the_stream_is_a_fault(self) -> None:
        reader = DIALECT.stream_reader(DIALECT.read("chat", body(stream=True)))
        reader.read(delta("a"))
        told = reader.read(b'data: {"error":{"message":"overloaded","type":"server_error","code":null}}\n\n')
        assert told.fault is not None
        assert told.fault.message == "overloaded"

    def test_a_body_that_ends_after_the_last_finish_reason_is_complete(self) -> None:
        reader = DIALECT.stream_reader(DIALECT.read("chat", body(stream=True, n=2)))
        reader.read(delta("a"))
        reader.read(delta("b", "stop"))
        assert reader.end_marker() is None
        reader.read(delta("", "length"))
        assert reader.end_marker() == b"data: [DONE]\n\n"

    def test_comments_pass(self) -> None:
        reader = DIALECT.stream_reader(DIALECT.read("chat", body(stream=True)))
        assert reader.read(b": keep-alive\n\n").bytes == b": keep-alive\n\n"

    def test_garbage_is_told(self) -> None:
        reader = DIALECT.stream_reader(DIALECT.read("chat", body(stream=True)))
        with pytest.raises(UnreadableAnswer):
            reader.read(b"data: <html>\n\n")


class TestProblems:
    def test_a_refusal_by_a_bucket_names_it(self) -> None:
        problem = Problem(
            status=429, code="budget_exceeded", message="spent", bucket="team/a/money/month", limit=5, used=5
        )
        error = json.loads(DIALECT.encode_problem(problem))["error"]
        assert error["type"] == "rate_limit_error"
        assert error["tidegate"]["bucket"] == "team/a/money/month"


class TestAzure:
    @pytest.mark.parametrize(
        ("version", "path"),
        [
            ("2024-10-21", "/openai/deployments/dep/chat/completions?api-version=2024-10-21"),
            (None, "/openai/v1/chat/completions"),
        ],
    )
    @pytest.mark.parametrize("base", ["", "/openai", "/openai/v1"])
    def test_both_surfaces(self, base: str, version: str | None, path: str) -> None:
        assert AzureOpenAI().upstream_path("chat", "dep", base, version, stream=False) == path

    def test_its_own_credential_header(self) -> None:
        assert AzureOpenAI().credential_header("k") == (b"api-key", b"k")
