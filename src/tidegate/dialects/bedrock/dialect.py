"""Amazon Bedrock's runtime API: Converse, ConverseStream and CountTokens.

Source: botocore's model of bedrock-runtime, version 2023-09-30. The model and whether the answer streams are in the path.
Natively, bodies are read at their top level only and re-emitted, each value's bytes untouched.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import NO_PATH_TELLS, Operation, PathTells, View
from tidegate.dialects.bedrock.chat import BedrockChat
from tidegate.dialects.bedrock.errors import encode_error, error_name, read_error
from tidegate.dialects.bedrock.frames import NativeReader
from tidegate.dialects.bedrock.thoughts import without_sealed
from tidegate.dialects.bedrock.usage import tier_told, usage_of
from tidegate.dialects.canon import Fault
from tidegate.dialects.dialect import AccessKey, Answer, ChatCodec, UnreadableAnswer, UpstreamModel
from tidegate.dialects.fields import MAX_COUNT, bad_field, read_fields
from tidegate.dialects.service_tiers import tier_name
from tidegate.wire.eventstream import EventStreamSplitter
from tidegate.wire.message import Headers
from tidegate.wire.sigv4 import RequestSigner

STREAM_HEAD: Final = "content-type: application/vnd.amazon.eventstream\r\ncache-control: no-cache\r\n"

_PATH: Final = re.compile(rb"/model/([^/]+)/converse(-stream)?")
_INVOKED: Final = re.compile(rb"/model/([^/]+)/invoke(-with-response-stream)?")
_REGIONS: Final = re.compile(r"(?:us|us-gov|eu|apac|jp|au|ca|global)\.")
_AFFINITY_BYTES: Final = 1_024
_ELSEWHERE_TOKENS: Final = 200_000
"""Upper bound for one image, document or video whose bytes are in S3: nothing longer fits a usual context."""

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class _Inference(Struct, rename="camel"):
    max_tokens: int | None = None


_decode_inference = msgspec.json.Decoder(_Inference | None).decode


class Bedrock:
    """The dialect on both sides. Stateless."""

    name: str = "bedrock"
    family: str = "bedrock"
    chat: ChatCodec | None = BedrockChat()
    client_paths: Mapping[bytes, Operation] = {}
    prefix: bytes = b"/bedrock"
    native: bool = True
    matches_paths: bool = True
    telling_headers: tuple[bytes, ...] = (b"amz-sdk-invocation-id", b"x-amz-date")
    native_headers: tuple[bytes, ...] = ()
    request_id_header: str = "x-amzn-requestid"
    upstream_media: bytes = b"application/vnd.amazon.eventstream"
    stream_head: str = STREAM_HEAD

    def match_path(self, path: bytes, query: bytes) -> tuple[Operation, PathTells] | None:
        """`/model/{id}/converse` and `/converse-stream`; ids come percent-encoded, ARNs with their slashes."""
        return _called_by(_PATH.fullmatch(path))

    def read(self, operation: Operation, body: bytes, path: PathTells = NO_PATH_TELLS) -> View:
        return self.converse_view(read_fields(body), len(body), body.count(b'"s3Location"'), operation, path)

    def converse_view(
        self, fields: dict[str, Raw], size: int, elsewhere: int, operation: Operation, path: PathTells
    ) -> View:
        """Of the members of a Converse request. `elsewhere`: how many contents are in S3. Raises UnreadableRequest."""
        messages = fields.get("messages")
        if (messages is None or bytes(messages) == b"null") and "promptVariables" not in fields:
            raise bad_field("`messages` is missing: add it to the request body.", "messages")
        return View(
            dialect=self.name,
            operation=operation,
            model=path.model,
            stream=path.stream,
            fields=fields,
            body_bytes=size,
            estimated_input_tokens=(size >> 2) + 1,
            worst_input_tokens=size + elsewhere * _ELSEWHERE_TOKENS,
            max_output_tokens=0 if operation == "token_count" else _max_output(fields),
            tier=tier_name(tier_told(fields.get("serviceTier"))),
            hidden_context="promptVariables" in fields,  # of a prompt that is kept at the upstream
            affinity=_affinity(fields),
        )

    def upstream_path(
        self, operation: Operation, model: str, base_path: str, api_version: str | None, *, stream: bool
    ) -> str:
        if operation == "token_count":
            return base_path + model_path(_REGIONS.sub("", model, count=1), "count-tokens")  # knows no profiles
        return base_path + model_path(model, "converse-stream" if stream else "converse")

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"authorization", b"Bearer " + api_key.encode()

    def signer(self, key: AccessKey, region: str, host: str) -> RequestSigner:
        return RequestSigner(key.id, key.secret, key.session_token, region=region, service="bedrock", host=host)

    def default_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def encode_request(self, view: View, upstream: UpstreamModel, *, output_cap: int | None) -> bytes:
        fields = view.fields
        if "messages" in fields:
            fields = {**fields, "messages": without_sealed(fields["messages"])}
        if view.operation == "token_count":
            return _encode({"input": {"converse": fields}})
        if output_cap is None or view.max_output_tokens is not None:
            return _encode(fields)
        raw = fields.get("inferenceConfig")
        inference = {} if raw is None or bytes(raw) == b"null" else _decode_object(raw)
        inference["maxTokens"] = Raw(b"%d" % output_cap)
        return _encode({**fields, "inferenceConfig": inference})

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        try:
            fields = _decode_object(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer is not a JSON object: {error}") from error
        if operation == "token_count":
            return Answer(fields, Usage(source="reported"))
        usage = fields.get("usage")
        return Answer(fields, Usage() if usage is None else usage_of(usage, tier_told(fields.get("serviceTier"))))

    def encode_answer(self, answer: Answer, view: View) -> bytes:
        return _encode(answer.fields)

    def stream_reader(self, view: View) -> NativeReader:
        return NativeReader()

    def splitter(self) -> EventStreamSplitter:
        return EventStreamSplitter()

    def read_fault(self, status: int, body: bytes) -> Fault:
        return read_error(status, {}, body)

    def read_fault_headers(self, status: int, headers: Headers, body: bytes) -> Fault:
        """Bedrock names an error in a header alone."""
        named = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        return read_error(status, named, body)

    def encode_problem(self, problem: Problem) -> bytes:
        return encode_error(problem)

    def problem_headers(self, problem: Problem) -> str:
        """Clients find the exception's class by it."""
        return f"x-amzn-errortype: {error_name(problem)}\r\n"


def model_path(model: str, verb: str) -> str:
    return f"/model/{quote(model, safe='')}/{verb}"


def invoked_path(path: bytes) -> tuple[Operation, PathTells] | None:
    """Of InvokeModel and InvokeModelWithResponseStream."""
    return _called_by(_INVOKED.fullmatch(path))


def named_model(segment: bytes) -> str:
    """Of a path: ids come percent-encoded, ARNs with their slashes."""
    return unquote_to_bytes(segment).decode(errors="replace")


def _called_by(match: re.Match[bytes] | None) -> tuple[Operation, PathTells] | None:
    return None if match is None else ("chat", PathTells(model=named_model(match[1]), stream=match[2] is not None))


def _max_output(fields: dict[str, Raw]) -> int | None:
    raw = fields.get("inferenceConfig")
    if raw is None:
        return None
    try:
        inference = _decode_inference(raw)
    except msgspec.DecodeError as error:
        raise bad_field(f"`inferenceConfig` cannot be read: {error}.", "inferenceConfig") from error
    bound = None if inference is None else inference.max_tokens
    if bound is not None and not 0 < bound <= MAX_COUNT:
        raise bad_field(f"`inferenceConfig.maxTokens` must be a whole number from 1 to {MAX_COUNT}.", "inferenceConfig")
    return bound


def _affinity(fields: dict[str, Raw]) -> bytes:
    """The prompt's beginning: what a cache would know it by."""
    begun = b"".join(
        bytes(memoryview(fields[name])[:_AFFINITY_BYTES]) for name in ("system", "messages") if name in fields
    )
    return begun[:_AFFINITY_BYTES]
