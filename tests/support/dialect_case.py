"""One dialect case: a file with what a client sends, what an upstream must get and answers, and what the client must get.

The folder names the two dialects (`anthropic-to-openai`); every case goes through the hub, also between equal ones.
Files that begin with `scene_` are the same scenes for every pair, written by `make cases`; all others are written by hand.
A file is a line of prose, then sections that begin with `== NAME [argument]`:

    request [path]      the client's body (JSON)
    upstream-request    what the upstream must get (JSON, compared as values)
    dropped             names of hints that were dropped, separated by spaces
    problem STATUS CODE [FIELD]   in place of all that follows: the request is refused; the text must be in the message
    upstream-answer     the upstream's whole answer (JSON)
    answer              what the client must get (JSON, compared as values)
    upstream-stream     the upstream's stream, byte for byte
    stream              what the client must get, byte for byte; `cut` as its argument: the stream breaks, no end marker
    quirks              the provider's, separated by spaces
    upstream-model      the upstream's name for the model, where its rules matter; else `upstream-model`
    usage               the Usage as `name=value` pairs

A section's argument `base64` says that its text is base64 of the bytes; `frames` (before any other), that each of its lines
is an event-stream frame, `NAME JSON`, or `!NAME JSON` for an exception.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tidegate.core.problem import Problem
from tidegate.core.usage import Units, Usage
from tidegate.core.view import Operation, PathTells, View
from tidegate.dialects.dialect import Dialect, UnreadableRequest, UpstreamModel
from tidegate.dialects.registry import DIALECTS
from tidegate.dialects.translation import Translation
from tidegate.wire.eventstream import encode_frame

FOLDER = Path(__file__).parent.parent / "dialect_cases"
UPSTREAM = "upstream-model"
BROKEN = Problem(status=502, code="upstream_error", message="The upstream's stream broke off before its end.")


@dataclass
class Section:
    argument: str
    text: bytes


class Case:
    """A parsed case file, and the steps of a translated call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        client, upstream = path.parent.name.split("-to-")
        self.client: Dialect = DIALECTS[client]
        self.upstream: Dialect = DIALECTS[upstream]
        self.sections = _sections(path.read_bytes())
        assert self.client.chat is not None and self.upstream.chat is not None
        self.relay = Translation(self.client, self.client.chat, self.upstream, self.upstream.chat)

    def text(self, name: str) -> bytes:
        return self.sections[name].text

    def view(self) -> View:
        section = self.sections["request"]
        operation: Operation = "chat"
        tells = PathTells()
        if section.argument:
            path, _, query = section.argument.encode().partition(b"?")
            found = self.client.match_path(path, query)
            assert found is not None, f"{section.argument} is no path of the dialect"
            operation, tells = found
        view = self.client.read(operation, section.text, tells)
        view.id = "call-1"
        view.time_ns = 1_760_000_000 * 10**9
        return view

    def sent(self) -> tuple[View, bytes]:
        """What goes upstream."""
        view = self.view()
        quirks = frozenset(self.text("quirks").decode().split()) if "quirks" in self.sections else frozenset[str]()
        name = self.text("upstream-model").decode().strip() if "upstream-model" in self.sections else UPSTREAM
        return view, self.relay.encode_request(view, UpstreamModel(name, quirks), output_cap=None)

    def problem(self) -> Problem:
        with pytest.raises(UnreadableRequest) as caught:
            self.sent()
        return caught.value.problem

    def answered(self) -> tuple[bytes, Usage]:
        """What the client gets of a whole answer."""
        view, _ = self.sent()
        answer = self.relay.read_answer("chat", self.text("upstream-answer"))
        return self.relay.encode_answer(answer, view), answer.usage

    def streamed(self, pieces: list[bytes]) -> tuple[bytes, Usage | None, bool]:
        """(what the client gets, the usage, whether the stream ended well), as a gateway's attempt would do it."""
        view, _ = self.sent()
        reader, splitter = self.relay.stream_reader(view), self.relay.splitter()
        out: list[bytes] = []
        for piece in pieces:
            for frame in splitter.feed(piece):
                told = reader.read(frame)
                out.append(told.bytes)
                if told.done or told.fault is not None:
                    return b"".join(out), reader.usage, told.done
        marker = reader.end_marker()
        out.append(reader.problem(BROKEN) if marker is None else marker)
        return b"".join(out), reader.usage, marker is not None


def cases(*needed: str) -> list[Case]:
    """Every case that has all of the sections `needed`."""
    found = [Case(path) for path in sorted(FOLDER.glob("*/*.case"))]
    return [case for case in found if all(name in case.sections for name in needed)]


def case_id(case: Case) -> str:
    return f"{case.path.parent.name}/{case.path.stem}"


def parse_usage(text: bytes) -> Usage:
    """`input=3 output=2 web_searches=1 tier=flex source=reported`; `raw` is not compared."""
    pairs = dict(one.split("=", 1) for one in text.decode().split())
    told: dict[str, Any] = {"source": pairs.pop("source", "reported"), "tier": pairs.pop("tier", "")}
    units = {name: int(pairs.pop(name)) for name in Units.__struct_fields__ if name in pairs}
    tokens = {name: int(value) for name, value in pairs.items()}
    return Usage(**tokens, **told, units=Units(**units) if units else None)


def _sections(data: bytes) -> dict[str, Section]:
    sections: dict[str, Section] = {}
    blocks = data.split(b"\n== ")[1:]
    for block in blocks[:-1]:
        _add(sections, block + b"\n")
    _add(sections, blocks[-1])
    return sections


def _add(sections: dict[str, Section], block: bytes) -> None:
    head, _, text = block.partition(b"\n")
    name, _, argument = head.decode().strip().partition(" ")
    assert name not in sections, f"section {name} is there twice"
    if argument == "base64":
        text = base64.b64decode(text)
    if argument.startswith("frames"):
        text, argument = _frames(text), argument.removeprefix("frames").strip()
    sections[name] = Section(argument, text)


def _frames(text: bytes) -> bytes:
    frames: list[bytes] = []
    for line in text.decode().split("\n"):
        name, _, payload = line.strip().partition(" ")
        if not name:
            continue
        kind = "exception" if name.startswith("!") else "event"
        headers = [(f":{kind}-type", name.lstrip("!")), (":content-type", "application/json"), (":message-type", kind)]
        frames.append(encode_frame(headers, payload.encode()))
    return b"".join(frames)
