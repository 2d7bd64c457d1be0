"""What predictive dialects share: tensors pass as they are, the path names the model, an input row is the unit.

Where language models have tokens these have rows: limits and prices by token are by row here, exactly counted.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import COUNTED, Answer, ChatCodec, StreamReader, UnreadableAnswer, UpstreamModel
from tidegate.dialects.fields import MAX_COUNT, bad_field, read_fields
from tidegate.wire.sse import SseSplitter

JSON_LENGTH: Final = b"inference-header-content-length"
"""The header of the binary tensor extension: the bytes of JSON at the body's front; tensors follow them."""

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_AFFINITY_BYTES: Final = 1_024


class _ErrorBody(Struct):
    error: str | dict[str, object] | None = None
    detail: object = None


_decode_error = msgspec.json.Decoder(_ErrorBody).decode


class Opaque(Struct):
    """A body that goes up as it is: the `parts` of its View."""

    data: bytes


class Predictive(ABC):
    """Native only: nothing is translated, no stream is read. A subclass knows the paths and what a row is."""

    name: str
    family: str
    chat: ChatCodec | None = None
    client_paths: Mapping[bytes, Operation] = {}
    prefix: bytes = b""
    matches_paths: bool = True
    telling_headers: tuple[bytes, ...] = ()
    native_headers: tuple[bytes, ...] = ()
    native: bool = True
    upstream_media: bytes = b"application/json"
    stream_head: str = "content-type: application/json\r\n"
    affinity_field: str

    @abstractmethod
    def rows(self, fields: Mapping[str, Raw]) -> int:
        """How many rows a request asks about. Raises UnreadableRequest."""

    @abstractmethod
    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None: ...

    @abstractmethod
    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str: ...

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        fields = read_fields(body) if operation == "inference" else {}
        rows = self.rows(fields) if operation == "inference" else 0
        view = self.view(operation, body, path, rows)
        view.fields = fields
        view.affinity = bytes(fields.get(self.affinity_field, b""))[:_AFFINITY_BYTES]
        view.media = b"application/json" if operation == "inference" else b""
        return view

    def view(self, operation: Operation, body: bytes, path: PathTells, rows: int) -> View:
        """Without fields."""
        return View(
            dialect=self.name,
            operation=operation,
            model=path.model,
            stream=path.stream,
            fields={},
            body_bytes=len(body),
            estimated_input_tokens=rows,
            worst_input_tokens=rows,
            max_output_tokens=0,
            affinity=body[:_AFFINITY_BYTES],
            suffix=path.suffix,
        )

    def read_opaque(self, operation: Operation, body: bytes, path: PathTells, rows: int) -> View:
        """Of a body that goes up as it is, and under its own content type."""
        view = self.view(operation, body, path, rows)
        view.parts, view.media = Opaque(body), path.media
        return view

    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"authorization", b"Bearer " + api_key.encode()

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        if isinstance(view.parts, Opaque):
            return view.parts.data
        return _encode(view.fields) if view.fields else b""

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        if not body and operation == "description":
            return Answer({}, COUNTED)
        try:
            fields = _decode_object(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer is not a JSON object: {error}") from error
        return Answer(fields, COUNTED)

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        name = "name" if view.operation == "description" else "model_name"
        if name in answer.fields:
            answer.fields[name] = Raw(_encode(view.model))
        return _encode(answer.fields)

    def stream_reader(self, view: View) -> StreamReader:
        raise UnreadableAnswer("predictions do not stream")

    def splitter(self) -> SseSplitter:
        return SseSplitter()

    def read_fault(self, status: int, body: bytes) -> Fault:
        try:
            told = _decode_error(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Fault("", "", "")
        said = told.error or told.detail
        return Fault("", "", said if isinstance(said, str) else "" if said is None else str(said)[:500])

    def encode_problem(self, problem: Problem) -> bytes:
        """The protocols know a text only; the code stands beside it."""
        return _encode({"error": problem.message, "code": problem.code})


def in_path(model: str) -> str:
    """A model's name, with what follows it, as a path has it."""
    return quote(model, safe="/:")


def count_rows(amount: int, field: str) -> int:
    """Raises UnreadableRequest for what cannot be a number of rows."""
    if not 0 < amount <= MAX_COUNT:
        raise bad_field(f"`{field}` says {amount} rows: from 1 to {MAX_COUNT} can be asked about.", field)
    return amount
