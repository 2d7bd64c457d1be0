"""The Mistral dialect: the native relay, and every case's bytes against the official SDK's own types."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistralai.client.models import ChatCompletionRequest, ChatCompletionResponse, CompletionChunk
from mistralai.client.utils.eventstreaming import stream_events
from tests.support.decoders import decode_anything, json_values
from tests.support.dialect_case import Case, case_id, cases

from tidegate.core.problem import Problem
from tidegate.core.view import View
from tidegate.dialects.canon import Failed, Request, ToolCall
from tidegate.dialects.dialect import UnreadableAnswer, UnreadableRequest, UpstreamModel
from tidegate.dialects.mistral import Mistral
from tidegate.dialects.mistral.request_out import call_id
from tidegate.gateway.endpoints import EXACT

DIALECT = Mistral()
CHAT = DIALECT.chat
assert CHAT is not None


def body(**fields: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def view(**fields: object) -> View:
    return DIALECT.read("chat", body(**fields))


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    told = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "real-1",
        "choices": [choice],
        **fields,
    }
    return b"data: " + json.dumps(told, separators=(",", ":")).encode() + b"\n\n"


class TestPaths:
    def test_its_clients_share_openais_path_and_have_their_own_under_its_prefix(self) -> None:
        assert EXACT[b"/v1/chat/completions"].dialect.name == "openai"
        assert EXACT[b"/mistral/v1/chat/completions"].dialect.name == "mistral"
        assert EXACT[b"/mistral/v1/embeddings"].operation == "embedding"

    def test_upstream(self) -> None:
        assert DIALECT.upstream_path("chat", "m", "/v1", None, stream=True) == "/v1/chat/completions"
        assert DIALECT.credential_header("k") == (b"authorization", b"Bearer k")


class TestNative:
    def test_every_value_keeps_its_bytes_and_nothing_is_added(self) -> None:
        raw = b'{"model":"a","messages": [ ],"safe_prompt":true,"x_new":1.50e3,"stream":true,"random_seed":7}'
        sent = DIALECT.encode_request(DIALECT.read("chat", raw), UpstreamModel("b"), output_cap=50)
        assert sent == (
            b'{"model":"b","messages":[ ],"safe_prompt":true,"x_new":1.50e3,"stream":true,"random_seed":7,"max_tokens":50}'
        )

    def test_a_stream_with_its_usage_in_the_last_chunk(self) -> None:
        reader = DIALECT.stream_reader(view(stream=True))
        usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
        thinking = {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}
        told = [
            reader.read(event)
            for event in (
                chunk({"role": "assistant", "content": ""}),
                chunk(thinking),
                chunk({"content": 'say "error"'}),
                chunk({"content": ""}, "stop", usage=usage),
                b"data: [DONE]\n\n",
            )
        ]
        assert [one.content for one in told] == [False, True, True, True, False]
        assert told[4].done
        assert reader.usage is not None
        assert (reader.usage.input, reader.usage.output) == (5, 2)
        for one in told[:4]:
            assert CompletionChunk.model_validate_json(one.bytes.removeprefix(b"data: ")).model == "m"
        assert json.loads(told[3].bytes.removeprefix(b"data: "))["usage"] == usage

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            ({"object": "error", "message": "busy", "type": "t", "code": "3505"}, "busy"),
            ({"error": {"message": "busy"}}, "busy"),
        ],
    )
    def test_an_error_in_the_stream_is_a_fault(self, error: dict[str, Any], message: str) -> None:
        event = b"data: " + json.dumps(error).encode() + b"\n\n"
        reader = DIALECT.stream_reader(view(stream=True))
        reader.read(chunk({"content": "a"}))
        told = reader.read(event)
        assert told.fault is not None
        assert told.fault.message == message
        decoded = CHAT.event_decoder().decode(event)
        assert isinstance(decoded[0], Failed)
        assert decoded[0].fault.message == message

    def test_garbage_is_told(self) -> None:
        with pytest.raises(UnreadableAnswer):
            DIALECT.stream_reader(view(stream=True)).read(b'data: {"error"\n\n')


class TestFaults:
    @pytest.mark.parametrize(
        ("raw", "told"),
        [
            (b'{"object":"error","message":"No","type":"invalid_model","param":null,"code":"1500"}',
             ("invalid_model", "1500", "No")),
            (b'{"detail":[{"type":"missing","msg":"Field required","loc":["body","messages"]}]}',
             ("", "", "body.messages: Field required")),
            (b'{"object":"error","message":{"detail":[{"msg":"Bad","loc":["body","n"]}]},"type":"e","code":null}',
             ("e", "", "body.n: Bad")),
            (b'{"detail":"Unauthorized"}', ("", "", "Unauthorized")),
            (b'{"error":{"message":"m","type":"t","code":"c"}}', ("t", "c", "m")),
            (b"<html>", ("", "", "")),
            (b"[1]", ("", "", "")),
        ],
    )  # fmt: skip
    def test_every_shape(self, raw: bytes, told: tuple[str, str, str]) -> None:
        fault = DIALECT.read_fault(400, raw)
        assert (fault.type, fault.code, fault.message) == told

    def test_problems(self) -> None:
        error = json.loads(DIALECT.encode_problem(Problem(status=400, code="c", message="m", field="n")))
        assert error == {
            "object": "error", "message": "m", "type": "invalid_request_error", "param": "n", "code": "c",
        }  # fmt: skip


class TestCanonical:
    def test_a_stream_that_gave_up_is_no_answer(self) -> None:
        decoder = CHAT.event_decoder()
        decoder.decode(chunk({"content": "a"}))
        with pytest.raises(UnreadableAnswer, match="gave up"):
            decoder.decode(chunk({}, "error"))
        assert decoder.end() == []

    def test_call_ids(self) -> None:
        assert call_id("abc123XYZ") == "abc123XYZ"
        changed = call_id("toolu_01A")
        assert (len(changed), changed.isalnum()) == (9, True)
        assert call_id("toolu_01A") == changed != call_id("toolu_01B")

    @given(json_values(("model", "messages", "tools", "tool_choice", "random_seed", "safe_prompt", "stop", "n")))
    def test_no_request_crashes_it(self, value: Any) -> None:
        try:
            view = DIALECT.read("chat", json.dumps(value).encode())
            CHAT.encode_request(CHAT.decode_request(view), UpstreamModel("m"))
        except UnreadableRequest as error:
            assert error.problem.status == 400

    @given(st.binary(max_size=200) | json_values(("choices", "usage", "object", "error", "id")).map(json.dumps))
    def test_no_answer_crashes_it(self, value: bytes | str) -> None:
        decode_anything(CHAT, value.encode() if isinstance(value, str) else value, sse=True)

    @given(st.text(max_size=40), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3), st.integers(0, 99))
    def test_values_survive(self, text: str, arguments: dict[str, int], number: int) -> None:
        call = {"id": "abcdefghi", "function": {"name": "f", "arguments": json.dumps(arguments)}}
        messages = [
            {"role": "user", "content": text or "x"},
            {"role": "assistant", "content": text, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "abcdefghi", "content": text},
        ]
        raw = json.dumps({"model": "m", "messages": messages, "random_seed": number, "top_k": number}).encode()
        first = CHAT.decode_request(DIALECT.read("chat", raw))
        again = CHAT.decode_request(DIALECT.read("chat", CHAT.encode_request(first, UpstreamModel("m"))))
        assert isinstance(again, Request)
        assert again == first
        assert any(isinstance(item, ToolCall) for item in again.items)


def upstream(dialect: str, case: Case) -> bool:
    return case.path.parent.name.endswith(f"-to-{dialect}")


@pytest.mark.parametrize("case", [one for one in cases("upstream-request") if upstream("mistral", one)], ids=case_id)
def test_the_sdk_knows_every_field_that_goes_upstream(case: Case) -> None:
    sent = json.loads(case.text("upstream-request"))
    assert ChatCompletionRequest.model_validate(sent).model_dump(by_alias=True, exclude_unset=True) == sent


@pytest.mark.parametrize("case", [one for one in cases("answer") if one.client.name == "mistral"], ids=case_id)
def test_the_sdk_reads_every_answer(case: Case) -> None:
    found = ChatCompletionResponse.model_validate_json(case.text("answer"))
    assert found.choices[0].message is not None


class FakeResponse:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def iter_bytes(self) -> list[bytes]:
        return [self.data]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("case", [one for one in cases("stream") if one.client.name == "mistral"], ids=case_id)
def test_the_sdk_reads_every_stream(case: Case) -> None:
    events: Any = stream_events(
        FakeResponse(case.text("stream")),  # type: ignore[arg-type]
        lambda raw: CompletionChunk.model_validate(json.loads(raw)["data"]),
        sentinel="[DONE]",
    )
    if case.sections["stream"].argument == "cut":
        with pytest.raises(ValueError, match="validation error"):
            list(events)
        return
    chunks = list(events)
    assert chunks[-1].choices[0].finish_reason in ("stop", "length", "tool_calls", "content_filter")
    assert len({one.id for one in chunks}) == 1
