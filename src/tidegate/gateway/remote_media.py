"""The files that calls give by URL, for upstreams that take bytes alone: fetched, checked, kept for a while.

Bounded in all: files under way, bytes of one file and of one call, bytes and age of what is kept.
"""

import asyncio
from base64 import b64encode
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from tidegate import __version__
from tidegate.core.clock import Clock
from tidegate.core.problem import Problem
from tidegate.core.snapshot import RemoteMediaSpec
from tidegate.core.view import FetchedBytes
from tidegate.dialects.canon import Image
from tidegate.dialects.media import picture_type
from tidegate.dialects.remote import Kind, NeedsBytes
from tidegate.gateway.headers import header_value
from tidegate.wire.fetch import Fetch, FetchedFile, Fetcher, FetchFailed, FetchSettings, host_of
from tidegate.wire.guard import networks
from tidegate.wire.message import Headers

_MOST_AT_ONCE: Final = 16
_MOST_OF_A_CALL: Final = 20
_CALL_FILES: Final = 4
"""The files of one call may have so many times the bytes that one may have."""
_KEPT_BYTES: Final = 64 * 1024 * 1024
_KEPT_SECONDS: Final = 300.0
_UNSAID: Final = frozenset((b"", b"application/octet-stream", b"binary/octet-stream"))
_IMAGES: Final = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp"))
_PDF: Final = "application/pdf"

Told = Callable[[Mapping[str, FetchedBytes] | Problem], None]


class _Kept(Struct, frozen=True):
    file: FetchedBytes
    until: float


class RemoteMedia:
    """One per worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, spec: RemoteMediaSpec) -> None:
        self.loop = loop
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._kept_bytes = 0
        self._underway: dict[str, _Errand] = {}
        self._waiting: deque[_Errand] = deque()
        self._running = 0
        self.spec = spec
        self.counts = {"fetched": 0, "kept": 0, "shared": 0, "failed": 0}
        """Files that calls wanted, by how they were had: fetched, kept from before, with another call's; or not at all."""
        self._fetcher = _fetcher(spec, loop)

    def configure(self, spec: RemoteMediaSpec) -> None:
        """What is kept came by rules that may hold no longer."""
        if spec == self.spec:
            return
        self.spec = spec
        self._fetcher.close()
        self._fetcher = _fetcher(spec, self.loop)
        self._kept.clear()
        self._kept_bytes = 0
        self._underway.clear()

    def close(self) -> None:
        self._fetcher.close()

    def fetch(self, needs: NeedsBytes, seconds: float, told: Told) -> "Fetching":
        """`told` hears once: all files, or why one is missing. Never from within this call.

        `seconds`: what the call has left.
        """
        return Fetching(self, needs, min(seconds, self.spec.timeout), told)

    # Of a Fetching.

    @property
    def most_bytes(self) -> int:
        return self.spec.max_bytes * _CALL_FILES

    def find(self, url: str) -> FetchedBytes | None:
        kept = self._kept.get(url)
        if kept is None or kept.until <= self._clock.monotonic():
            return None
        self._kept.move_to_end(url)
        self.counts["kept"] += 1
        return kept.file

    def errand(self, url: str, call: "Fetching") -> "_Errand":
        """What is under way for one call is there for all that want it."""
        errand = self._underway.get(url)
        if errand is None:
            errand = self._underway[url] = _Errand(self, url)
        else:
            self.counts["shared"] += 1
        errand.calls.append(call)
        return errand

    def begin(self, errand: "_Errand") -> None:
        if errand.begun:
            return
        errand.begun = True
        self._place(errand)

    def left(self, errand: "_Errand") -> bool:
        """It has ended, or nobody waits for it any more. Whether it went by the rules of now."""
        if self._underway.get(errand.url) is not errand:
            return False
        del self._underway[errand.url]
        return True

    def _place(self, errand: "_Errand") -> None:
        if self._running < _MOST_AT_ONCE:
            self._running += 1
            errand.start(self._fetcher)
        else:
            self._waiting.append(errand)

    def ended(self) -> None:
        self._running -= 1
        while self._waiting and self._running < _MOST_AT_ONCE:
            errand = self._waiting.popleft()
            if not errand.over:
                self._place(errand)

    def keep(self, url: str, file: FetchedBytes, headers: Headers) -> None:
        seconds = _kept_seconds(headers)
        if not seconds or len(file.data) > _KEPT_BYTES // 4:
            return
        old = self._kept.pop(url, None)
        self._kept_bytes += len(file.data) - (0 if old is None else len(old.file.data))
        self._kept[url] = _Kept(file, self._clock.monotonic() + seconds)
        while self._kept_bytes > _KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1].file.data)


class Fetching:
    """The files of one call, under way."""

    def __init__(self, store: RemoteMedia, needs: NeedsBytes, seconds: float, told: Told) -> None:
        self._store = store
        self._told: Told | None = told
        self._field = needs.problem.field
        self._found: dict[str, FetchedBytes] = {}
        self._errands: dict[str, tuple[_Errand, Kind]] = {}
        self._size = 0
        self._handle = store.loop.call_soon(self._begin, needs.wanted)
        self._timer = store.loop.call_later(seconds, self._fail, f"the files by URL did not come within {seconds:g} s")

    def cancel(self) -> None:
        """Nothing more is heard."""
        self._told = None
        self._handle.cancel()
        self._timer.cancel()
        for errand, _ in self._errands.values():
            errand.leave(self)
        self._errands.clear()

    def _begin(self, wanted: Mapping[str, Kind]) -> None:
        if len(wanted) > _MOST_OF_A_CALL:
            self._fail(f"{len(wanted)} files by URL are more than the {_MOST_OF_A_CALL} that are fetched for one call")
            return
        for url, kind in wanted.items():
            file = self._store.find(url)
            if file is None:
                self._errands[url] = (self._store.errand(url, self), kind)
            elif not self._take(url, kind, file):
                return
        for errand, _ in list(self._errands.values()):
            self._store.begin(errand)
        self._look()

    def came(self, url: str, told: FetchedBytes | str) -> None:
        """A file, or why there is none."""
        awaited = self._errands.pop(url, None)
        if awaited is None:
            return
        if isinstance(told, str):
            self._fail(told)
        elif self._take(url, awaited[1], told):
            self._look()

    def _take(self, url: str, kind: Kind, file: FetchedBytes) -> bool:
        self._size += len(file.data) * 3 // 4
        if self._size > self._store.most_bytes:
            self._fail(f"the files by URL are larger than {self._store.most_bytes} bytes together")
            return False
        if (file.media_type in _IMAGES) != (kind is Image):
            what = "a picture" if kind is Image else "a PDF document"
            self._fail(f"the file at {host_of(url)} is {file.media_type}, and not {what}")
            return False
        self._found[url] = file
        return True

    def _look(self) -> None:
        if not self._errands:
            self._end(self._found)

    def _fail(self, reason: str) -> None:
        field = self._field or "messages"
        message = f"`{field}`: {reason}. Send its data, or another URL."
        self._end(Problem(status=400, code="invalid_request", message=message, field=field))

    def _end(self, outcome: Mapping[str, FetchedBytes] | Problem) -> None:
        told = self._told
        self.cancel()
        if told is not None:
            told(outcome)


class _Errand:
    """One file, for all calls that want it now."""

    def __init__(self, store: RemoteMedia, url: str) -> None:
        self._store = store
        self._fetch: Fetch | None = None
        self.url = url
        self.calls: list[Fetching] = []
        self.begun = False
        self.over = False

    def start(self, fetcher: Fetcher) -> None:
        self._fetch = fetcher.fetch(self.url, self._done)

    def leave(self, call: Fetching) -> None:
        """The last one out ends it."""
        if call in self.calls:
            self.calls.remove(call)
        if self.over or self.calls:
            return
        self.over = True
        self._store.left(self)
        if self._fetch is not None:
            self._fetch.cancel()
            self._store.ended()

    def _done(self, told: FetchedFile | FetchFailed) -> None:
        self.over = True
        store = self._store
        lasting = store.left(self)
        store.ended()
        file = self._read(told, lasting)
        store.counts["failed" if isinstance(file, str) else "fetched"] += 1
        calls, self.calls = self.calls, []
        for call in calls:
            call.came(self.url, file)

    def _read(self, told: FetchedFile | FetchFailed, lasting: bool) -> FetchedBytes | str:
        """`lasting`: it may be kept for later calls."""
        if isinstance(told, FetchFailed):
            return f"the file at {told.host} could not be fetched: {told.reason}"
        media_type = _media_type(told)
        if media_type is None:
            return f"the file at {host_of(self.url)} is no picture (PNG, JPEG, GIF, WebP) and no PDF document"
        file = FetchedBytes(media_type, b64encode(told.body).decode())
        if lasting:
            self._store.keep(self.url, file, told.headers)
        return file


def _fetcher(spec: RemoteMediaSpec, loop: asyncio.AbstractEventLoop) -> Fetcher:
    settings = FetchSettings(
        max_bytes=spec.max_bytes,
        timeout=spec.timeout,
        ports=frozenset(spec.ports),
        hosts=spec.allow_hosts,
        networks=networks(spec.allow_networks),
        user_agent=f"tidegate/{__version__}",
    )
    return Fetcher(settings, loop)


def _media_type(file: FetchedFile) -> str | None:
    """By its first bytes; None where these are of no known kind, or its server calls it something else altogether."""
    found = _PDF if file.body.startswith(b"%PDF-") else picture_type(file.body)
    if not found:
        return None
    said = header_value(file.headers, b"content-type").partition(b";")[0].strip().lower()
    expected = said == b"application/pdf" if found == _PDF else said.startswith(b"image/")
    return found if expected or said in _UNSAID else None


def _kept_seconds(headers: Headers) -> float:
    said = header_value(headers, b"cache-control").lower()
    if b"no-store" in said or b"no-cache" in said or b"private" in said:
        return 0.0
    _, found, rest = said.partition(b"max-age=")
    digits = rest.partition(b",")[0].strip()
    return min(_KEPT_SECONDS, float(digits)) if found and digits.isdigit() else _KEPT_SECONDS
