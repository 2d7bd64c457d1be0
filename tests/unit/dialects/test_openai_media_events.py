"""Streams of OpenAI's images, transcripts and speech: relayed as they come, with their usage."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.problem import Problem
from tidegate.core.usage import Units
from tidegate.core.view import Operation, View
from tidegate.dialects.dialect import UnreadableAnswer
from tidegate.dialects.openai.media_events import MediaReader

USED = {"input_tokens": 10, "output_tokens": 272, "total_tokens": 282, "input_tokens_details": {"image_tokens": 4}}
HEARD = {"type": "tokens", "input_tokens": 14, "output_tokens": 4, "input_token_details": {"text_tokens": 1}}
SPOKEN = {"input_tokens": 6, "output_tokens": 90, "total_tokens": 96}


def reader(operation: Operation = "image", images: int = 1) -> MediaReader:
    return MediaReader(View("openai", operation, "public", True, {}, 0, 0, 0, None, requests=images))


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


@pytest.mark.parametrize(
    ("operation", "part", "last", "used"),
    [
        ("image", event("image_generation.partial_image", b64_json="aa"),
         event("image_generation.completed", b64_json="bb", usage=USED), (6, 4, 0, 0, 272, 0)),
        ("image_edit", event("image_edit.partial_image", b64_json="aa"),
         event("image_edit.completed", b64_json="bb", usage=USED), (6, 4, 0, 0, 272, 0)),
        ("transcription", event("transcript.text.delta", delta="Hi"),
         event("transcript.text.done", text="Hi", usage=HEARD), (1, 0, 13, 4, 0, 0)),
        ("speech", event("speech.audio.delta", audio="aa"),
         event("speech.audio.done", usage=SPOKEN), (6, 0, 0, 0, 0, 90)),
    ],
)  # fmt: skip
def test_a_stream(operation: Operation, part: bytes, last: bytes, used: tuple[int, ...]) -> None:
    told = reader(operation)
    first = told.read(part)
    assert (first.bytes, first.content, first.done, told.usage, told.end_marker()) == (part, True, False, None, None)
    end = told.read(last)
    assert (end.bytes, end.content, end.done, told.end_marker()) == (last, True, True, b"")
    assert told.usage is not None
    found = told.usage
    assert (found.input, found.input_image, found.input_audio) == used[:3]
    assert (found.output, found.output_image, found.output_audio, found.source) == (*used[3:], "reported")


def test_each_of_several_images_has_its_end() -> None:
    told, last = reader(images=2), event("image_generation.completed", usage=USED)
    assert not told.read(last).done
    assert told.end_marker() == b""
    assert told.read(last).done
    assert told.usage is not None
    assert (told.usage.input, told.usage.output_image, len(json.loads(told.usage.raw))) == (12, 544, 2)


def test_tokens_that_one_image_does_not_tell_are_not_told_of_the_whole() -> None:
    told = reader(images=2)
    told.read(event("image_generation.completed", usage=USED))
    told.read(event("image_generation.completed", usage={"total_tokens": 3}))
    assert told.usage is not None
    assert (told.usage.units, told.usage.total) == (Units(images=2), 0)


def test_a_transcript_in_chunks() -> None:
    """As vLLM streams it."""
    told = reader("transcription")
    chunk = {"object": "transcription.chunk", "model": "up", "choices": [{"delta": {"content": "Hi"}}], "usage": None}
    first = told.read(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    assert (first.content, first.done, json.loads(first.bytes[6:])["model"]) == (True, False, "public")
    chunk = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}
    told.read(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    assert told.end_marker() is None
    assert told.read(b"data: [DONE]\n\n").done
    assert told.usage is not None
    assert (told.usage.input, told.usage.output) == (9, 2)


def test_errors() -> None:
    told = reader()
    fault = told.read(
        b'event: error\ndata: {"type":"error","error":{"code":"moderation_blocked","message":"No."}}\n\n'
    ).fault
    assert fault is not None
    assert (fault.code, fault.message) == ("moderation_blocked", "No.")
    assert told.read(b": quiet\n\n").content is False
    with pytest.raises(UnreadableAnswer):
        told.read(b"data: {\n\n")
    frame = told.problem(Problem(status=502, code="upstream_error", message="Cut."))
    assert json.loads(frame.split(b"data: ")[1])["error"]["code"] == "upstream_error"


@given(st.sampled_from(("image", "image_edit", "transcription", "speech")), st.binary(max_size=60))
def test_no_event_breaks_the_reader(operation: Operation, data: bytes) -> None:
    try:
        reader(operation).read(b"data: " + data + b"\n\n")
    except UnreadableAnswer:
        return
