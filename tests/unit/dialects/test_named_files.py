"""Files that a request names: found however their keys are written, and nowhere else."""

import pytest

from tidegate.dialects.anthropic.named import named_sources
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.named_files import named_files


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b'{"file_id":"a"}', ["a"]),
        (b'{"file_id" : "a", "x": {"file_ids":["b", "a", "c"]}}', ["a", "b", "c"]),
        (b'{"fil\\u0065_id":"a"}', ["a"]),
        (b'{"\\u0066\\u0069\\u006C\\u006c\\u005f":"a"}', []),
        (b'{"file\\u005F\\u0069d\\u0073":["\\u0061"]}', ["a"]),
        (b'{"file_id":null,"file_ids":[]}', []),
        (b'{"text":"say \\"file_id\\":\\"a\\" twice"}', []),
        (b'{"properties":{"file_id":{"type":"string"}}}', []),
        (b'{"text":"\\u00e9t\\u00e9"}', []),
        (b'{"call_id":"x","file_id":"a"}', ["a"]),
        (b'{"text":"a\\nb","file_ids":["a"]}', ["a"]),
        (b'{"call_id":"x\\n","max_tokens":1}', []),
        (b"{}", []),
    ],
)
def test_names(text: bytes, names: list[str]) -> None:
    assert [one.name for one in named_files(text, "messages")] == names


@pytest.mark.parametrize("text", [b'{"file_id":"a\\q"}', b'{"file_ids":["a]","b"]}', b'{"file_ids":[1]}'])
def test_what_cannot_be_read_is_refused(text: bytes) -> None:
    with pytest.raises(UnreadableRequest):
        named_files(text, "messages")


@pytest.mark.parametrize(
    ("block", "names"),
    [
        (b'{"type":"document","source":{"type":"file","file_id":"a"}}', ["a"]),
        (b'{"type":"image","source":{"type":"file","fil\\u0065_id":"a"}}', ["a"]),
        (b'{"type":"image","source":{"file_id":"a"},"source":{"type":"file","file_id":"b"}}', ["a", "b"]),
        (b'{"type":"container_upload","file_id":"a"}', ["a"]),
        (b'{"type":"tool_result","content":[{"type":"document","source":{"file_id":"a"}}]}', ["a"]),
        (
            b'{"type":"document","source":{"type":"content","content":[{"type":"image","source":{"file_id":"a"}}]}}',
            ["a"],
        ),
        (b'{"type":"tool_use","input":{"file_id":"a"}}', []),
        (b'{"type":"tool_use","source":{"file_id":"b"},"input":{"file_id":"a"}}', ["b"]),
        (b'{"type":"tool_use","input":{"file_ids":[1,2]}}', []),
        (b'{"type":"text","text":"x","citations":[{"file_id":"a"}]}', []),
        (b'{"type":"code_execution_tool_result","content":{"content":[{"file_id":"a"}]}}', []),
    ],
)
def test_sources_of_messages(block: bytes, names: list[str]) -> None:
    found = named_sources(b'[{"role":"user","content":"file_id"},{"role":"user","content":[%b]}]' % block)
    assert [(one.kind, one.name) for one in found] == [("message_file", name) for name in names]


def test_messages_that_cannot_be_read() -> None:
    with pytest.raises(UnreadableRequest):
        named_sources(b'{"file_id":"a"}')


@pytest.mark.parametrize(
    "message",
    [
        b'{"content":[{"type":"document","source":{"file_id":"a"},"type":"text"}]}',
        b'{"content":[{"type":"document","source":{"file_id":"a"}}],"content":"x"}',
    ],
)
def test_a_source_is_not_hidden_by_what_stands_twice(message: bytes) -> None:
    """Of two an upstream may take the other."""
    with pytest.raises(UnreadableRequest, match="stands twice"):
        named_sources(b"[%b]" % message)
