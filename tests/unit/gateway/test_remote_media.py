"""What is kept of files that calls give by URL, and the bounds of what is fetched at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.http_server import run

from tidegate.core.clock import ManualClock
from tidegate.core.problem import Problem
from tidegate.core.snapshot import RemoteMediaSpec
from tidegate.dialects.canon import File, Image
from tidegate.dialects.remote import Kind, NeedsBytes
from tidegate.gateway.remote_media import Fetching, RemoteMedia
from tidegate.wire.fetch import FetchedFile, FetchFailed, FetchSettings

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100
PROBLEM = Problem(status=400, code="unsupported_field", message="Send its data.", field="messages")


class Fetcher:
    """Keeps what was asked; the test answers."""

    settings = FetchSettings(max_bytes=1, timeout=1)

    def __init__(self) -> None:
        self.asked: list[tuple[str, Callable[[FetchedFile | FetchFailed], None]]] = []
        self.cancelled = 0

    def fetch(self, url: str, done: Callable[[FetchedFile | FetchFailed], None]) -> "Fetcher":
        self.asked.append((url, done))
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None:
        pass

    def answer(self, index: int, body: bytes = PNG, **headers: str) -> None:
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        self.asked[index][1](FetchedFile(named, body))


class Store:
    """A RemoteMedia on a clock that is told, with answers of the test's own."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.media = RemoteMedia(asyncio.get_running_loop(), self.clock, RemoteMediaSpec(max_bytes=10_000_000))
        self.fetcher = Fetcher()
        made: Any = self.fetcher
        self.media._fetcher = made
        self.heard: list[Any] = []

    async def ask(self, *urls: str, kind: Kind = Image) -> Fetching:
        needs = NeedsBytes(PROBLEM, wanted=dict.fromkeys(urls, kind))
        fetching = self.media.fetch(needs, 60.0, self.heard.append)
        await asyncio.sleep(0)
        return fetching


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("", 300), ("max-age=60", 60), ("public, max-age=60, immutable", 60), ("max-age=99999", 300)],
)
def test_what_is_kept_is_kept_for_a_while(said: str, seconds: int) -> None:
    async def trial() -> None:
        store = Store()
        await store.ask("a")
        store.fetcher.answer(0, cache_control=said)
        store.clock.advance(seconds - 1)
        await store.ask("a")
        assert (len(store.fetcher.asked), len(store.heard)) == (1, 2)
        assert store.heard[0] == store.heard[1]
        store.clock.advance(2)
        await store.ask("a")
        assert len(store.fetcher.asked) == 2

    run(trial())


def test_what_was_under_way_by_other_rules_is_not_kept() -> None:
    async def trial() -> None:
        store = Store()
        await store.ask("a")
        store.media.configure(RemoteMediaSpec(max_bytes=20_000_000))
        made: Any = store.fetcher
        store.media._fetcher = made
        store.fetcher.answer(0)
        assert len(store.heard) == 1
        await store.ask("a")
        assert len(store.fetcher.asked) == 2

    run(trial())


@pytest.mark.parametrize("said", ["no-store", "private, max-age=60", "max-age=0", "no-cache"])
def test_what_is_not_to_be_kept(said: str) -> None:
    async def trial() -> None:
        store = Store()
        await store.ask("a")
        store.fetcher.answer(0, cache_control=said)
        await store.ask("a")
        assert len(store.fetcher.asked) == 2

    run(trial())


def test_what_is_kept_has_a_bound() -> None:
    async def trial() -> None:
        store = Store()
        large = PNG + b"x" * 9_000_000
        for index in range(7):
            await store.ask(f"{index}")
            store.fetcher.answer(index, large)
        assert store.media._kept_bytes <= 64 * 1024 * 1024
        assert list(store.media._kept) == ["2", "3", "4", "5", "6"]
        store.media.configure(RemoteMediaSpec(max_bytes=5))
        assert (store.media._kept_bytes, len(store.media._kept)) == (0, 0)

    run(trial())


def test_sixteen_are_fetched_at_once() -> None:
    async def trial() -> None:
        store = Store()
        first = await store.ask(*(f"a{index}" for index in range(12)))
        second = await store.ask(*(f"b{index}" for index in range(12)))
        assert len(store.fetcher.asked) == 16
        store.fetcher.answer(0)
        assert len(store.fetcher.asked) == 17
        first.cancel()
        assert (store.fetcher.cancelled, len(store.fetcher.asked)) == (11, 24)
        second.cancel()
        assert (store.media._running, store.heard) == (0, [])

    run(trial())


def test_two_calls_for_one_file_fetch_it_once() -> None:
    async def trial() -> None:
        store = Store()
        first = await store.ask("a", "b")
        await store.ask("a")
        await store.ask("a", kind=File)
        assert [url for url, _ in store.fetcher.asked] == ["a", "b"]
        first.cancel()  # `b` is nobody's then, `a` is still others'
        assert store.fetcher.cancelled == 1
        store.fetcher.answer(0)
        assert store.heard[0]["a"].media_type == "image/png"
        assert "and not a PDF document" in store.heard[1].message
        assert store.media._running == 0
        assert store.media.counts == {"fetched": 1, "kept": 0, "shared": 2, "failed": 0}
        await store.ask("b")
        store.fetcher.asked[2][1](FetchFailed("b.example", "no"))
        await store.ask("a")
        assert store.media.counts == {"fetched": 1, "kept": 1, "shared": 2, "failed": 1}

    run(trial())


def test_nothing_is_shared_that_was_begun_by_other_rules() -> None:
    async def trial() -> None:
        store = Store()
        await store.ask("a")
        store.media.configure(RemoteMediaSpec(max_bytes=5))
        second = Fetcher()
        made: Any = second
        store.media._fetcher = made
        await store.ask("a")
        assert len(second.asked) == 1
        store.fetcher.answer(0)
        second.answer(0)
        assert len(store.heard) == 2

    run(trial())


def test_one_that_fails_ends_the_others() -> None:
    async def trial() -> None:
        store = Store()
        await store.ask("a", "b", "c")
        store.fetcher.asked[1][1](FetchFailed("b.example", "it answered with status 404"))
        (problem,) = store.heard
        assert problem.field == "messages"
        assert "b.example could not be fetched: it answered with status 404" in problem.message
        assert (store.fetcher.cancelled, store.media._running) == (2, 0)

    run(trial())


def test_the_files_of_a_call_together_have_a_bound() -> None:
    async def trial() -> None:
        store = Store()
        await store.ask(*"abcde")
        for index in range(5):
            store.fetcher.answer(index, PNG + b"x" * 9_000_000)
        assert "larger than 40000000 bytes together" in store.heard[0].message

    run(trial())


@pytest.mark.parametrize(
    ("body", "media", "kind", "found"),
    [
        (PNG, "image/png", Image, "image/png"),
        (PNG, "image/jpeg; q=1", Image, "image/png"),
        (PNG, "", Image, "image/png"),
        (b"\xff\xd8\xff\xe0", "application/octet-stream", Image, "image/jpeg"),
        (b"GIF89a", "image/gif", Image, "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", Image, "image/webp"),
        (b"%PDF-1.7", "application/pdf", File, "application/pdf"),
        (b"%PDF-1.7", "application/pdf", Image, None),
        (PNG, "image/png", File, None),
        (PNG, "text/html", Image, None),
        (b"%PDF-1.7", "text/html", File, None),
        (b"<svg>", "image/svg+xml", Image, None),
        (b"", "image/png", Image, None),
    ],
)
def test_what_a_file_is(body: bytes, media: str, kind: Kind, found: str | None) -> None:
    async def trial() -> None:
        store = Store()
        await store.ask("a", kind=kind)
        store.fetcher.answer(0, body, content_type=media)
        (told,) = store.heard
        assert (None if isinstance(told, Problem) else told["a"].media_type) == found

    run(trial())
