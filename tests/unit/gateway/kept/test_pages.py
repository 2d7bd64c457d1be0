"""Pages of what is owned: bounded in bytes, read in slices, and only what is on them."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tidegate.gateway.kept import pages
from tidegate.gateway.kept.object_call import ObjectCall
from tidegate.state.owned import Owned


def owned(number: int) -> Owned:
    return Owned(kind="file", id=f"f{number}", owner="ann", provider="p", credential="0", created_ns=number)


class Loop:
    """Runs what was put off when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.turns = 0

    def call_soon(self, act: Callable[..., None], *arguments: Any) -> None:
        self.waiting.append(lambda: act(*arguments))

    def run(self) -> None:
        while self.waiting:
            self.turns += 1
            self.waiting.pop()()


def asking(query: bytes, own: int, loop: Loop, *, dialect: str = "openai") -> tuple[Any, list[Any]]:
    """A call whose every look at the clock is a millisecond later, and what it answers."""
    answers: list[Any] = []
    ticks = iter(range(10**6))
    call = SimpleNamespace(
        runtime=SimpleNamespace(
            owned=SimpleNamespace(of=lambda owner, kind: [owned(number) for number in range(own)]),
            clock=SimpleNamespace(monotonic=lambda: next(ticks) / 1000),
            loop=loop,
        ),
        exchange=SimpleNamespace(request=SimpleNamespace(query=query), closed=False),
        consumer=SimpleNamespace(name="ann"),
        asked=SimpleNamespace(kind="file", dialect=SimpleNamespace(name=dialect)),
        guarded=lambda act: act(),
        answer=lambda body: answers.append(json.loads(body)),
    )
    call.in_slices = lambda work, then: ObjectCall.in_slices(call, work, then)  # type: ignore[arg-type]
    return call, answers


def test_only_what_is_on_the_page_is_read() -> None:
    shown: list[str] = []

    def show(one: Owned) -> bytes:
        shown.append(one.id)
        return b'"x"'

    loop = Loop()
    call, answers = asking(b"limit=3&after=f40", 50, loop)
    pages.answer_page(call, show, 10_000)
    loop.run()
    assert shown == ["f39", "f38", "f37"]
    (told,) = answers
    assert (told["first_id"], told["last_id"], told["has_more"]) == ("f39", "f37", True)


def test_a_long_page_is_read_in_slices() -> None:
    loop = Loop()
    call, answers = asking(b"", 1_000, loop)
    pages.answer_page(call, lambda one: b"1", 10_000)
    assert not answers
    loop.run()
    assert loop.turns > 100
    assert len(answers[0]["data"]) == 1_000
    assert not answers[0]["has_more"]


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_page_of_too_many_bytes_ends_early(dialect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_PAGE_BYTES", 100)
    loop = Loop()
    found: list[str] = []
    cursor, more = b"", True
    while more:
        call, answers = asking(cursor, 10, loop, dialect=dialect)
        pages.answer_page(call, lambda one: json.dumps(one.id + "x" * 30).encode(), 1_000)
        loop.run()
        found += [text.rstrip("x") for text in answers[0]["data"]]
        cursor = b"%b=%b" % (b"after" if dialect == "openai" else b"after_id", answers[0]["last_id"].encode())
        more = answers[0]["has_more"]
        assert len(answers[0]["data"]) == 2
    assert found == [f"f{number}" for number in range(9, -1, -1)]


def test_a_page_has_one_object_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_PAGE_BYTES", 1)
    loop = Loop()
    call, answers = asking(b"order=asc&before=f2", 5, loop)
    pages.answer_page(call, lambda one: b'"' + one.id.encode() + b'"', 100)
    loop.run()
    assert (answers[0]["data"], answers[0]["has_more"]) == (["f1"], True)
