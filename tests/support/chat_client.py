"""A client of the gateway that notices everything: status, headers, events, and whether the answer ended as it should."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

PATH = "/v1/chat/completions"


@dataclass
class Answer:
    """`status` 0: no answer came. `whole`: the framing says that this is all of it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False

    @property
    def id(self) -> str:
        return self.headers.get("x-tidegate-decision", "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[str]:
        """The data of each SSE event."""
        return [event[6:] for event in self.body.decode().split("\n\n") if event.startswith("data: ")]

    @property
    def ended_well(self) -> bool:
        """A stream with its end marker, or a whole answer of another kind."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            return self.whole and self.events[-1:] == ["[DONE]"]
        return self.whole

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a refusal, or of a stream's error frame; {} if there is none."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            frames = [json.loads(event) for event in self.events if event != "[DONE]"]
            return next((frame["error"] for frame in frames if "error" in frame), {})
        return self.json.get("error", {}) if self.body.startswith(b"{") else {}


def chat(model: str, text: str = "When does the tide turn?", **fields: object) -> dict[str, object]:
    """The fields of a chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def request_bytes(key: str, fields: object, *, path: str = PATH, headers: Iterable[str] = ()) -> bytes:
    body = json.dumps(fields).encode()
    lines = [f"POST {path} HTTP/1.1", "host: gateway", f"authorization: Bearer {key}", "content-type: application/json"]
    return "\r\n".join([*lines, *headers, f"content-length: {len(body)}", "", ""]).encode() + body


class Client:
    """One keep-alive connection, opened when it is first needed."""

    def __init__(self, address: str, key: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._key = key
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, fields: object, *, path: str = PATH, headers: Iterable[str] = ()) -> Answer:
        """One call. A connection that breaks gives what came until then."""
        try:
            await self.send(fields, path=path, headers=headers)
        except OSError:
            self.close()
            return Answer()
        return await self.answer()

    async def send(self, fields: object, *, path: str = PATH, headers: Iterable[str] = ()) -> None:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self._host, self._port, limit=4 * 1024 * 1024)
        self.writer.write(request_bytes(self._key, fields, path=path, headers=headers))
        await self.writer.drain()

    async def answer(self) -> Answer:
        """The answer to what was sent."""
        assert self.reader is not None
        answer = Answer()
        try:
            await self._read(self.reader, answer)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return answer
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    async def _read(self, reader: asyncio.StreamReader, answer: Answer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        answer.status = int(head[0].split()[1])
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            answer.headers[name.lower()] = value.strip()
        if answer.headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                answer.body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
        else:
            answer.body = await reader.readexactly(int(answer.headers.get("content-length", "0")))
        answer.whole = True

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


async def ask(address: str, key: str, fields: object, *, headers: Iterable[str] = ()) -> Answer:
    """One call on a connection of its own."""
    client = Client(address, key)
    try:
        return await client.ask(fields, headers=headers)
    finally:
        client.close()
