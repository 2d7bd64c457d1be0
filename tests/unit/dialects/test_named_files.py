"""Files that a request names: found however their keys are written, and nowhere else."""

import pytest

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
