"""A native request: what one attempt makes of it must not reach the next, which may be at another upstream."""

import msgspec
import pytest

from tidegate.core.view import PathTells
from tidegate.dialects.anthropic.thoughts import thought_blocks
from tidegate.dialects.canon import Message, Reasoning, Request, Text
from tidegate.dialects.dialect import ChatCodec, Dialect, UpstreamModel
from tidegate.dialects.registry import DIALECTS

SPEAKING = [name for name, dialect in DIALECTS.items() if dialect.chat is not None]


def client_body(dialect: Dialect, chat: ChatCodec) -> bytes:
    """Without a bound where there need not be one."""
    bound = 9 if dialect.family == "anthropic" else None
    asked = [Message("user", [Text("Hi")]), Message("assistant", [Text("Ho")]), Message("user", [Text("Well?")])]
    return chat.encode_request(Request(items=[*asked], max_output_tokens=bound, stream=True), UpstreamModel("public"))


@pytest.mark.parametrize("name", SPEAKING)
def test_encoding_leaves_the_request_as_it_was(name: str) -> None:
    dialect = DIALECTS[name]
    assert dialect.chat is not None
    view = dialect.read("chat", client_body(dialect, dialect.chat), PathTells(model="public", stream=True))
    before = dict(view.fields)
    quirks = frozenset(("max-tokens", "rerank-top-k"))
    dialect.encode_request(view, UpstreamModel("upstream-model", quirks), output_cap=50)
    assert view.fields == before


def test_thoughts_of_another_provider_are_there_for_its_turn() -> None:
    """Anthropic's own API gets none of them; the fallback that made them does."""
    anthropic = DIALECTS["anthropic"]
    assert anthropic.chat is not None
    thought = Reasoning("So.", encrypted="sealed", origin="openai-responses", id="rs_1")
    sealed = msgspec.json.encode(thought_blocks(thought)[0])
    body = (
        b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[%b]}]}'
    )
    view = anthropic.read("chat", body % sealed)
    assert sealed not in anthropic.encode_request(view, UpstreamModel("claude"), output_cap=None)
    items = anthropic.chat.decode_request(view).items
    assert [item.encrypted for item in items if isinstance(item, Reasoning)] == ["sealed"]
