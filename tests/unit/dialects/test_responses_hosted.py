"""What a Responses request names of what its provider keeps, where the provider would read it and nowhere else."""

import json
from typing import Any

import msgspec
import pytest

from tidegate.core.view import Reference
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.responses.hosted import hosted_references

CITED = {"type": "output_text", "text": "x", "annotations": [{"type": "file_citation", "file_id": "file-of-a-store"}]}
FILE = {"type": "input_file", "file_id": "file-1"}
SCHEMA = {
    "type": "object",
    "properties": {"file_id": {"const": "x", "examples": ["y"]}},
    "examples": [{"file_id": "z"}],
}


def raw(**fields: Any) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}


def named(fields: dict[str, msgspec.Raw]) -> tuple[Reference, ...]:
    return hosted_references(fields, msgspec.json.encode(fields))


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"input": 'say "file_id": "a"'}, []),
        ({"input": [{"role": "user", "content": [FILE]}]}, [("file", "file-1")]),
        ({"input": [{"type": "message", "role": "assistant", "content": [CITED]}]}, []),
        ({"input": [{"role": "user", "content": [CITED, FILE]}]}, [("file", "file-1")]),
        (
            {"input": [{"role": "user", "content": [CITED, FILE, CITED], "file_id": "b"}]},
            [("file", "file-1"), ("file", "b")],
        ),
        # So many that a reader whose time grows with their square takes half a minute.
        (
            {
                "input": [
                    {
                        "role": "user",
                        "content": [*({"type": "refusal", "refusal": str(one)} for one in range(30_000)), FILE],
                    }
                ]
            },
            [("file", "file-1")],
        ),
        ({"input": [{"type": "file_search_call", "results": [{"file_id": "file-of-a-store"}]}]}, []),
        ({"input": [{"type": "function_call_output", "output": [FILE]}]}, [("file", "file-1")]),
        ({"input": [{"type": "code_interpreter_call", "container_id": "cntr_1"}]}, [("container", "cntr_1")]),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "cfile_1"}]}]}, []),
        (
            {"input": [{"type": "additional_tools", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}]},
            [("vector_store", "vs_1")],
        ),
        (
            {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}]},
            [("vector_store", "vs_1"), ("vector_store", "vs_2")],
        ),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, [("container", "cntr_1")]),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["a"]}}]}, [("file", "a")]),
        (
            {"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_1"}}]},
            [("container", "cntr_1")],
        ),
        ({"tools": [{"type": "function", "name": "open", "parameters": SCHEMA}]}, []),
        ({"prompt": {"id": "pmpt_1", "variables": {"a": FILE}}}, [("file", "file-1"), ("prompt", "pmpt_1")]),
        ({"metadata": {"file_id": "x", "container": "y"}, "prompt": None}, []),
    ],
)
def test_what_is_named(fields: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert [(one.kind, one.name) for one in named(raw(**fields))] == found


@pytest.mark.parametrize(
    ("field", "text", "name"),
    [
        ("tools", '[{"type":"file_search","vector\\u005Fstore_ids":["\\u0076s_1"]}]', "vs_1"),
        ("tools", '[{"type":"code_interpreter","cont\\u0061iner":"cntr_1"}]', "cntr_1"),
        ("input", '[{"role":"user","content":[{"type":"input_file","file_id":"a"}],"content":[]}]', "a"),
    ],
)
def test_however_it_is_written(field: str, text: str, name: str) -> None:
    assert [one.name for one in named({field: msgspec.Raw(text.encode())})] == [name]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": "pmpt_1"}, "prompt"),
        ({"tools": ["container"]}, "tools"),
        ({"input": [{"type": 5, "container": "x"}]}, "input"),
        ({"tools": [{"type": "file_search", "vector_store_ids": [5]}]}, "tools"),
    ],
)
def test_what_cannot_be_told_is_refused(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(UnreadableRequest) as caught:
        named(raw(**fields))
    assert caught.value.problem.field == field


@pytest.mark.parametrize(
    "body",
    [
        b'{"tools":[{"type":"file_search","vector_store_ids":["vs_1"],"type":"function"}]}',
        b'{"tools":[{"type":"file_search","vector_store_ids":["vs_1"],"t\\u0079pe":"function"}]}',
        b'{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1","type":"output_text"}]}]}',
    ],
)
def test_what_is_left_out_for_its_type_has_one_type(body: bytes) -> None:
    """Of two an upstream may take the other."""
    with pytest.raises(UnreadableRequest, match="`type` stands twice"):
        hosted_references(msgspec.json.decode(body, type=dict[str, msgspec.Raw]), body)
