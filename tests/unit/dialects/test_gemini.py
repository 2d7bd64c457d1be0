"""The Gemini dialect: paths, what is read, what goes upstream, native streams, faults."""

import json
from hashlib import sha256
from typing import Any

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import View
from tidegate.dialects.canon import Reasoning
from tidegate.dialects.counting import estimated_tokens
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.gemini import Gemini
from tidegate.dialects.gemini.signatures import packed
from tidegate.dialects.gemini.usage import usage_metadata, usage_of

DIALECT = Gemini()
CHAT = DIALECT.chat
assert CHAT is not None
PATH = b"/v1/models/m:generateContent"
STREAM = b"/v1/models/m:streamGenerateContent"
HI: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def view(fields: dict[str, Any] = HI, path: bytes = PATH, query: bytes = b"alt=sse") -> View:
    found = DIALECT.match_path(path, query)
    assert found is not None
    made = DIALECT.read(found[0], json.dumps(fields).encode(), found[1])
    made.id, made.time_ns = "call-1", 1_760_000_000 * 10**9
    return made


def refused(fields: dict[str, Any], path: bytes = PATH) -> Problem:
    with pytest.raises(UnreadableRequest) as caught:
        view(fields, path)
    return caught.value.problem


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "model"),
        [
            (b"/v1/models/gemini-3-flash:generateContent", "gemini-3-flash"),
            (b"/v1beta/models/gemini-3-flash:generateContent", "gemini-3-flash"),
            (b"/v1alpha/models/models%2Fgemini:generateContent", "gemini"),
            (b"/v1/models/org%2Fname%3A1:generateContent", "org/name:1"),
            (b"/v1/models/org/name:1:generateContent", "org/name:1"),
            (b"/v1/models/publishers/google/models/x:generateContent", "x"),
            (b"/v1beta1/publishers/google/models/x:generateContent", "x"),
            (b"/v1beta1/publishers/meta/models/llama:generateContent", "meta/llama"),
            (b"/v1beta1/projects/p/locations/l/publishers/google/models/x:generateContent", "x"),
            (b"/v1/tunedModels/mine:generateContent", "tunedModels/mine"),
        ],
    )
    def test_the_model_is_in_the_path(self, path: bytes, model: str) -> None:
        found = DIALECT.match_path(path, b"")
        assert found is not None
        assert (found[0], found[1].model, found[1].stream) == ("chat", model, False)

    @pytest.mark.parametrize(
        "path",
        [
            b"/v1/models/m:predict",
            b"/v1/models/m:classify",
            b"/v1/models/m",
            b"/v1/models/:generateContent",
            b"/v2/models/m:generateContent",
            b"/v1/other/m:generateContent",
            b"/v1/models/m:generateContent/x",
            b"/v1/models/m:GenerateContent",
        ],
    )
    def test_other_verbs_and_paths_are_not_its_own(self, path: bytes) -> None:
        assert DIALECT.match_path(path, b"") is None

    @pytest.mark.parametrize(
        ("query", "form"), [(b"alt=sse", ""), (b"key=k&alt=sse", ""), (b"", "array"), (b"alt=json", "array")]
    )
    def test_the_form_of_a_stream(self, query: bytes, form: str) -> None:
        found = DIALECT.match_path(STREAM, query)
        assert found is not None
        assert (found[1].stream, found[1].form) == (True, form)

    def test_of_a_key_in_the_query_only_the_digest_is_kept(self) -> None:
        found = DIALECT.match_path(PATH, b"alt=json&key=se%63ret")
        assert found is not None
        assert found[1].key_digest == sha256(b"secret").digest()
        assert "secret" not in repr(found)

    @pytest.mark.parametrize(
        ("model", "path"),
        [("gemini-x", "models/gemini-x"), ("tunedModels/a b", "tunedModels/a%20b"), ("models/x", "models/x")],
    )
    def test_where_calls_go(self, model: str, path: str) -> None:
        assert DIALECT.upstream_path("chat", model, "/v1", None, stream=False) == f"/v1/{path}:generateContent"
        streamed = DIALECT.upstream_path("chat", model, "/v1beta", None, stream=True)
        assert streamed == f"/v1beta/{path}:streamGenerateContent?alt=sse"
        without = DIALECT.upstream_path("embedding", model, "/proxy", None, stream=False)
        assert without == f"/proxy/v1beta/{path}:batchEmbedContents"

    @given(st.binary(max_size=60), st.binary(max_size=30))
    def test_no_path_crashes_it(self, path: bytes, query: bytes) -> None:
        DIALECT.match_path(b"/v1/models/" + path + b":generateContent", query)
        DIALECT.match_path(path, query)


class TestRead:
    def test_the_fields_that_decisions_need(self) -> None:
        made = view({**HI, "generation_config": {"max_output_tokens": 7, "candidateCount": 3}}, STREAM, b"")
        assert (made.model, made.stream, made.form, made.max_output_tokens) == ("m", True, "array", 21)
        assert made.worst_input_tokens >= made.estimated_input_tokens > 0
        assert view().max_output_tokens is None
        assert view({**HI, "generationConfig": {"candidateCount": 3}}).choices == 3

    @pytest.mark.parametrize("name", ["cachedContent", "cached_content"])
    def test_cached_contents_are_context_that_the_upstream_alone_has(self, name: str) -> None:
        assert view({**HI, name: "cachedContents/x"}).hidden_context
        assert not view().hidden_context

    def test_a_file_elsewhere_is_bounded_from_above(self) -> None:
        parts = [{"fileData": {"fileUri": "gs://a/b", "mimeType": "application/pdf"}}]
        assert view({"contents": [{"parts": parts}]}).worst_input_tokens > 258_000

    @pytest.mark.parametrize(
        ("fields", "field", "says"),
        [
            ({}, "contents", "missing"),
            ({"contents": None}, "contents", "missing"),
            ({**HI, "generationConfig": 3}, "generationConfig", "object"),
            ({**HI, "generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens", "whole number"),
            ({**HI, "generationConfig": {"maxOutputTokens": 1.5}}, "generationConfig.maxOutputTokens", "whole number"),
            ({**HI, "generation_config": {"candidate_count": -1}}, "generation_config.candidate_count", "whole"),
            ({**HI, "generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 9}}, "generationConfig", "twice"),
            ({**HI, "generation_config": {"maxOutputTokens": 9}, "generationConfig": {}}, None, "twice"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, fields: dict[str, Any], field: str | None, says: str) -> None:
        problem = refused(fields)
        assert (problem.status, problem.code, problem.field) == (400, "invalid_request", field)
        assert says in problem.message

    @given(st.binary(max_size=300))
    def test_no_bytes_crash_it(self, raw: bytes) -> None:
        found = DIALECT.match_path(PATH, b"")
        assert found is not None
        try:
            CHAT.decode_request(DIALECT.read("chat", raw, found[1]))
        except UnreadableRequest:
            pass


class TestEncodeNatively:
    def test_every_value_keeps_its_bytes(self) -> None:
        found = DIALECT.match_path(PATH, b"")
        assert found is not None
        raw = b'{"contents" : [ {"parts":[{"text":"\\u00e9 \xc3\xa9"}]} ],"x_unknown":1.50e3,"model":"models/dear"}'
        sent = DIALECT.encode_request(DIALECT.read("chat", raw, found[1]), UpstreamModel("b"), output_cap=None)
        assert sent == (
            b'{"contents":[ {"parts":[{"text":"\\u00e9 \xc3\xa9"}]} ],"x_unknown":1.50e3,"model":"models/b"}'
        )

    def test_a_cap_only_where_the_client_set_none(self) -> None:
        free = view({**HI, "generation_config": {"temperature": 1}})
        sent = json.loads(DIALECT.encode_request(free, UpstreamModel("b"), output_cap=50))
        assert sent["generation_config"] == {"temperature": 1, "maxOutputTokens": 50}
        assert b"maxOutputTokens" not in bytes(free.fields["generation_config"])
        bound = view({**HI, "generationConfig": {"maxOutputTokens": 9}})
        assert b"50" not in DIALECT.encode_request(bound, UpstreamModel("b"), output_cap=50)

    def test_what_another_provider_sealed_is_not_shown_to_gemini(self) -> None:
        seal = packed(Reasoning(signature="sig", origin="anthropic"))
        part = {"text": 'say "thoughtSignature":"dGlkZWdhdGU6"', "thought": True, "thoughtSignature": seal}
        sent = DIALECT.encode_request(
            view({"contents": [{"role": "model", "parts": [part]}]}), UpstreamModel("b"), output_cap=None
        )
        told = json.loads(sent)["contents"][0]["parts"][0]
        assert told == {**part, "thoughtSignature": "skip_thought_signature_validator"}


class TestEmbeddings:
    def test_one_text(self) -> None:
        made = view({"content": {"parts": [{"text": "a"}]}, "model": "models/m"}, b"/v1/models/m:embedContent")
        assert (made.operation, made.max_output_tokens) == ("embedding", 0)
        sent = json.loads(DIALECT.encode_request(made, UpstreamModel("b"), output_cap=None))
        assert sent == {"requests": [{"content": {"parts": [{"text": "a"}]}, "model": "models/b"}]}
        answer = DIALECT.read_answer(
            "embedding", b'{"embeddings":[{"values":[1.50]}],"usageMetadata":{"promptTokenCount":1}}'
        )
        assert answer.usage.input == 1
        told = DIALECT.encode_answer(answer, made)
        assert b"1.50" in told
        assert json.loads(told)["embedding"] == {"values": [1.5]}

    def test_several(self) -> None:
        fields = {"requests": [{"content": {"parts": [{"text": text}]}, "model": "models/m"} for text in "ab"]}
        made = view(fields, b"/v1/models/m:batchEmbedContents")
        sent = json.loads(DIALECT.encode_request(made, UpstreamModel("b"), output_cap=None))
        assert [one["model"] for one in sent["requests"]] == ["models/b", "models/b"]
        raw = b'{"embeddings":[{"values":[1]},{"values":[2]}]}'
        answer = DIALECT.read_answer("embedding", raw)
        assert answer.usage.source == "unknown"
        assert DIALECT.encode_answer(answer, made) == raw

    def test_what_is_no_list_is_named(self) -> None:
        assert refused({"content": {}}, b"/v1/models/m:batchEmbedContents").field == "requests"
        with pytest.raises(UnreadableRequest):
            made = view({"requests": 3}, b"/v1/models/m:batchEmbedContents")
            DIALECT.encode_request(made, UpstreamModel("b"), output_cap=None)


class TestCounting:
    PATH = b"/v1/models/m:countTokens"

    def test_contents(self) -> None:
        made = view({**HI, "model": "models/m"}, self.PATH)
        assert (made.operation, made.max_output_tokens) == ("token_count", 0)
        sent = json.loads(DIALECT.encode_request(made, UpstreamModel("b"), output_cap=7))
        assert sent == {**HI, "model": "models/b"}
        assert DIALECT.upstream_path("token_count", "b", "/v1", None, stream=False) == "/v1/models/b:countTokens"
        answer = DIALECT.read_answer("token_count", b'{"totalTokens":3}')
        assert (answer.usage.source, answer.usage.total) == ("reported", 0)
        assert DIALECT.encode_answer(answer, made) == b'{"totalTokens":3}'

    def test_a_whole_request(self) -> None:
        made = view({"generateContentRequest": {**HI, "model": "models/m"}}, self.PATH)
        sent = json.loads(DIALECT.encode_request(made, UpstreamModel("b"), output_cap=None))
        assert sent == {"generateContentRequest": {**HI, "model": "models/b"}}
        assert estimated_tokens(made) > 10

    def test_what_is_nothing_to_count_is_named(self) -> None:
        assert refused({}, self.PATH).field == "contents"
        with pytest.raises(UnreadableRequest):
            made = view({"generateContentRequest": 3}, self.PATH)
            DIALECT.encode_request(made, UpstreamModel("b"), output_cap=None)


class TestUsage:
    def test_buckets_are_disjoint(self) -> None:
        usage = usage_of(
            b'{"promptTokenCount":100,"cachedContentTokenCount":60,"toolUsePromptTokenCount":5,"candidatesTokenCount":50,'
            b'"thoughtsTokenCount":20,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":9},'
            b'{"modality":"IMAGE","tokenCount":7}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":4}],'
            b'"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":30}],"totalTokenCount":175}'
        )
        assert (usage.input, usage.cache_read, usage.input_audio, usage.input_image) == (33, 56, 5, 7)
        assert usage.cache_read_audio == 4
        assert (usage.output, usage.output_image, usage.reasoning) == (20, 30, 20)
        assert (usage.total, usage.source) == (175, "reported")

    @pytest.mark.parametrize("raw", [b"null", b"{}", b"7", b'{"candidatesTokenCount":3}', b'{"promptTokenCount":"x"}'])
    def test_what_is_missing_is_unknown_and_never_zero(self, raw: bytes) -> None:
        assert usage_of(raw).source == "unknown"

    @given(st.builds(Usage, **{name: st.integers(0, 99) for name in ("input", "cache_read", "output", "reasoning")}))
    def test_what_a_client_is_told_is_what_was_used(self, usage: Usage) -> None:
        told = types.GenerateContentResponseUsageMetadata.model_validate(usage_metadata(usage, "default"))
        assert told.total_token_count == usage.total
        back = usage_of(json.dumps(usage_metadata(usage, "")).encode())
        assert (back.input, back.cache_read, back.output, back.reasoning) == (
            usage.input,
            usage.cache_read,
            usage.output,
            usage.reasoning,
        )


def chunk(text: str, finish: str | None = None, **fields: Any) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return b"data: " + json.dumps({"candidates": [candidate], "modelVersion": "real", **fields}).encode() + b"\r\n\r\n"


class TestNativeStream:
    def test_what_tells_of_the_end_waits_for_it(self) -> None:
        reader = DIALECT.stream_reader(view(path=STREAM))
        usage = {"promptTokenCount": 3, "candidatesTokenCount": 2}
        first, last = reader.read(chunk("a")), reader.read(chunk("b", "STOP", usageMetadata=usage))
        assert (first.content, last.content, last.bytes) == (True, True, b"")
        assert reader.usage is not None and reader.usage.total == 5
        marker = reader.end_marker()
        assert marker is not None
        for frame, text in ((first.bytes, "a"), (marker, "b")):
            assert frame.startswith(b"data: ") and frame.endswith(b"\n\n")
            told = types.GenerateContentResponse.model_validate_json(frame.removeprefix(b"data: "))
            assert (told.text, told.model_version) == (text, "m")

    def test_usage_after_the_finish_counts_too(self) -> None:
        reader = DIALECT.stream_reader(view(path=STREAM))
        reader.read(chunk("b", "STOP"))
        held = reader.read(b'data: {"usageMetadata": {"promptTokenCount": 3}}\n\n').bytes
        assert b'"STOP"' in held
        assert reader.usage is not None and reader.usage.input == 3
        assert reader.end_marker() == b'data: {"usageMetadata":{"promptTokenCount": 3}}\n\n'

    def test_an_array_element_by_element(self) -> None:
        reader = DIALECT.stream_reader(view(path=STREAM, query=b""))
        pieces = [
            reader.read(chunk("a")).bytes,
            reader.read(b": keep\n\n").bytes,
            reader.read(chunk("b", "STOP")).bytes,
        ]
        marker = reader.end_marker()
        assert marker is not None
        told = [types.GenerateContentResponse.model_validate(one) for one in json.loads(b"".join(pieces) + marker)]
        assert [one.text for one in told] == ["a", "b"]

    def test_every_candidate_must_have_ended(self) -> None:
        reader = DIALECT.stream_reader(view({**HI, "generationConfig": {"candidateCount": 2}}, STREAM))
        reader.read(chunk("a", "STOP"))
        assert reader.end_marker() is None
        reader.read(chunk("b", "MAX_TOKENS"))
        assert reader.end_marker() is not None

    def test_a_blocked_prompt_is_a_whole_answer(self) -> None:
        reader = DIALECT.stream_reader(view(path=STREAM))
        reader.read(b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n')
        assert reader.end_marker() == b'data: {"promptFeedback":{"blockReason":"SAFETY"}}\n\n'

    def test_comments_do_not_reach_clients_that_would_read_them_as_json(self) -> None:
        reader = DIALECT.stream_reader(view(path=STREAM))
        assert reader.read(b": keep-alive\n\n").bytes == b""

    def test_json_on_several_lines_is_one_line(self) -> None:
        reader = DIALECT.stream_reader(view(path=STREAM))
        told = reader.read(b'data: {"candidates": [\ndata: {"content": {"parts": [{"text": "a\\nb"}]}}]}\n\n').bytes
        assert told.count(b"\n") == 2
        assert types.GenerateContentResponse.model_validate_json(told.removeprefix(b"data: ")).text == "a\nb"

    def test_an_error_in_the_stream_is_a_fault(self) -> None:
        reader = DIALECT.stream_reader(view(path=STREAM))
        reader.read(chunk("a"))
        told = reader.read(b'data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}\n\n')
        assert told.fault is not None
        assert (told.fault.type, told.fault.message) == ("UNAVAILABLE", "busy")
        assert reader.end_marker() is None

    def test_a_cut_stream_is_told(self) -> None:
        reader = DIALECT.stream_reader(view(path=STREAM))
        reader.read(chunk("a"))
        assert reader.end_marker() is None
        frame = reader.problem(Problem(status=502, code="upstream_error", message="cut"))
        assert json.loads(frame.removeprefix(b"data: "))["error"]["code"] == 502

    def test_garbage_is_told(self) -> None:
        with pytest.raises(UnreadableAnswer):
            DIALECT.stream_reader(view(path=STREAM)).read(b"data: <html>\n\n")

    @given(st.lists(st.binary(max_size=80), max_size=5))
    def test_no_bytes_crash_it(self, frames: list[bytes]) -> None:
        reader = DIALECT.stream_reader(view(path=STREAM))
        try:
            for frame in frames:
                reader.read(b"data: " + frame + b"\n\n")
        except UnreadableAnswer:
            pass


class TestProblems:
    def test_googles_shape(self) -> None:
        problem = Problem(
            status=429, code="budget_exceeded", message="spent", bucket="b", limit=5, used=5, retry_after_seconds=1.5
        )
        error = json.loads(DIALECT.encode_problem(problem))["error"]
        assert (error["code"], error["status"], error["message"]) == (429, "RESOURCE_EXHAUSTED", "spent")
        assert error["details"][0]["metadata"] == {"bucket": "b", "limit": "5", "used": "5"}
        assert error["details"][1]["retryDelay"] == "1.5s"

    @pytest.mark.parametrize("form", ["%s", "[%s]", " [%s, 1]"])
    def test_an_upstreams_error_is_read(self, form: str) -> None:
        told = (
            '{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[{"@type":"x","other":1},'
            '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED"},'
            '{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}'
        )
        body = (form % told).replace(", 1]", "]").encode()
        fault = DIALECT.read_fault(429, body)
        assert (fault.type, fault.code, fault.message) == ("RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", "slow")
        assert fault.retry_after_seconds == 34.5

    @given(st.one_of(st.binary(max_size=60), st.sampled_from([b"[]", b"{}", b"[{}]", b'{"error":3}', b"null"])))
    def test_no_body_crashes_it(self, body: bytes) -> None:
        DIALECT.read_fault(500, body)
