"""A Bedrock of the tests' own, on botocore's model: it refuses what Bedrock's API does not define, and unsigned requests.

with bedrock_thread() as bedrock:
    bedrock.replies.append(converse_answer("Hello"))
"""

import base64
import binascii
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer
from botocore.parsers import EventStreamJSONParser, RestJSONParser

from tidegate.wire.eventstream import encode_frame

KEY_ID, SECRET, TOKEN, REGION = "AKIDTEST", "a/secret+key", "session/token==", "eu-west-1"
BEARER = "bedrock-api-key-test"
_OPERATIONS = {
    "converse": "Converse",
    "converse-stream": "ConverseStream",
    "invoke": "InvokeModel",
    "invoke-with-response-stream": "InvokeModelWithResponseStream",
    "count-tokens": "CountTokens",
}
_PATH = re.compile(r"/model/([^/]+)/([a-z-]+)")


@cache
def service() -> Any:
    """botocore's model of bedrock-runtime."""
    return botocore.session.get_session().get_service_model("bedrock-runtime")


def objections(operation: str, body: Any) -> list[str]:
    """What in a request's body is not as the model of `Converse` or `ConverseStream` has it."""
    shape = service().operation_model(operation).input_shape
    found: list[str] = []
    if not isinstance(body, dict):
        return ["the body is no object"]
    if "modelId" in body:
        found.append("$.modelId belongs into the path")
    _check(shape, {"modelId": "any.model", **body}, "$", found)
    return found


_INVOKED = {
    "textToImageParams": {"taskType", "textToImageParams", "imageGenerationConfig"},
    "prompt": {"prompt", "aspect_ratio", "output_format", "seed", "negative_prompt", "mode"},
    "inputText": {"inputText", "dimensions", "normalize", "embeddingTypes"},
    "singleEmbeddingParams": {"taskType", "singleEmbeddingParams", "schemaVersion"},
    "texts": {"texts", "input_type", "truncate", "embedding_types", "output_dimension", "max_tokens"},
}


def invoke_objections(body: Any) -> list[str]:
    for sign, known in _INVOKED.items():
        if sign in body:
            return [f"extraneous key [{name}] is not permitted" for name in body if name not in known]
    return claude_objections(body)


def claude_objections(body: Any) -> list[str]:
    """What Claude's body must have in this envelope, and must not."""
    versions = ("bedrock-2023-05-31", "2026-10-21")  # AnthropicBedrock sends the second
    found = [] if body.get("anthropic_version") in versions else ["anthropic_version: Field required"]
    found += [f"{name}: Field required" for name in ("max_tokens", "messages") if name not in body]
    return found + [f"{name}: Extra inputs are not permitted" for name in ("model", "stream") if name in body]


def read_answer(body: bytes, may_lack: tuple[str, ...] = ()) -> Any:
    """As boto3 gives a Converse answer; every member that the model requires must be there, but for `may_lack`."""
    shape = service().operation_model("Converse").output_shape
    found: list[str] = []
    _check(shape, json.loads(body), "$", found)
    assert [one for one in found if one not in [f"$.{name} is missing" for name in may_lack]] == []
    return RestJSONParser().parse({"status_code": 200, "headers": {}, "body": body}, shape)


def read_stream(data: bytes, may_lack: tuple[str, ...] = ()) -> list[Any]:
    """As boto3 gives the events of a ConverseStream, each checked; an exception frame is `{"exception": {...}}`."""
    shape = service().operation_model("ConverseStream").output_shape.members["stream"]
    buffer, events = EventStreamBuffer(), []
    buffer.add_data(data)
    for event in buffer:
        told = event.to_response_dict()
        if told["status_code"] != 200:
            events.append({"exception": EventStreamJSONParser().parse(told, shape)["Error"]})
            continue
        name = event.headers[":event-type"]
        found: list[str] = []
        _check(shape.members[name], json.loads(event.payload), "$", found)
        assert [one for one in found if one not in [f"$.{name} is missing" for name in may_lack]] == []
        events.append(EventStreamJSONParser().parse(told, shape))
    return events


def _check(shape: Any, value: Any, at: str, found: list[str]) -> None:
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return
    if kind == "structure":
        _check_structure(shape, value, at, found)
    elif kind == "list" and isinstance(value, list):
        _check_size(shape, len(value), at, found)
        for place, one in enumerate(value):
            _check(shape.member, one, f"{at}[{place}]", found)
    elif kind == "map" and isinstance(value, dict):
        _check_size(shape, len(value), at, found)
        for name, one in value.items():
            _check(shape.key, name, f"{at}.{name} (its name)", found)
            _check(shape.value, one, f"{at}.{name}", found)
    elif kind in ("string", "blob") and isinstance(value, str):
        (_check_string if kind == "string" else _check_blob)(shape, value, at, found)
    elif kind in ("integer", "long", "float", "double") and isinstance(value, int | float):
        _check_size(shape, value, at, found)
    elif kind != "boolean" or not isinstance(value, bool):
        found.append(f"{at}: {value!r} is no {kind}")


def _check_string(shape: Any, value: str, at: str, found: list[str]) -> None:
    _check_size(shape, len(value), at, found)
    if shape.enum and value not in shape.enum:
        found.append(f"{at}: {value!r} is none of {shape.enum}")
    pattern = shape.metadata.get("pattern")
    if pattern is not None and shape.name != "ConversationalModelId" and re.fullmatch(pattern, value) is None:
        found.append(f"{at}: {value!r} does not match {pattern}")


def _check_blob(shape: Any, value: str, at: str, found: list[str]) -> None:
    try:
        _check_size(shape, len(base64.b64decode(value, validate=True)), at, found)
    except binascii.Error:
        found.append(f"{at}: no base64")


def _check_structure(shape: Any, value: Any, at: str, found: list[str]) -> None:
    if not isinstance(value, dict):
        found.append(f"{at}: {value!r} is no structure")
        return
    found += [f"{at}.{name} is missing" for name in shape.required_members if name not in value]
    if shape.is_tagged_union and len(value) != 1:
        found.append(f"{at} must have one member, not {sorted(value)}")
    for name, one in value.items():
        if name in shape.members:
            _check(shape.members[name], one, f"{at}.{name}", found)
        else:
            found.append(f"{at}.{name} is not known")


def _check_size(shape: Any, size: float, at: str, found: list[str]) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        found.append(f"{at}: {size} is not within {least} and {most}")


# Replies.


@dataclass(frozen=True)
class Refusal:
    status: int
    name: str
    message: str


@dataclass(frozen=True)
class Counted:
    """An answer whose usage is in a header alone."""

    body: dict[str, Any]
    input_tokens: int


Reply = dict[str, Any] | list[bytes] | Refusal | Counted


def converse_answer(*content: Any, stop: str = "end_turn", **more: Any) -> dict[str, Any]:
    """A text, or blocks."""
    blocks = [{"text": one} if isinstance(one, str) else one for one in content]
    usage = {"inputTokens": 7, "outputTokens": 5, "totalTokens": 12}
    return {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": stop,
        "usage": usage,
        "metrics": {"latencyMs": 3},
        **more,
    }


def event(name: str, **payload: Any) -> bytes:
    return encode_frame(
        [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")],
        json.dumps(payload).encode(),
    )


def chunk(**payload: Any) -> bytes:
    """One of the model's own events."""
    return event("chunk", bytes=base64.b64encode(json.dumps(payload).encode()).decode(), p="abcdef")


def exception(name: str, message: str) -> bytes:
    return encode_frame(
        [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")],
        json.dumps({"message": message}).encode(),
    )


def streamed_text(*pieces: str, **usage: int) -> list[bytes]:
    told = {"inputTokens": 7, "outputTokens": len(pieces), "totalTokens": 7 + len(pieces), **usage}
    return [
        event("messageStart", role="assistant"),
        *(event("contentBlockDelta", delta={"text": piece}, contentBlockIndex=0) for piece in pieces),
        event("contentBlockStop", contentBlockIndex=0),
        event("messageStop", stopReason="end_turn"),
        event("metadata", usage=told, metrics={"latencyMs": 3}),
    ]


# The server.


@dataclass
class Received:
    model: str
    operation: str
    body: Any
    headers: dict[str, str]


@dataclass
class FakeBedrock:
    """Answers in the order of `replies`."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list[Reply])
    received: list[Received] = field(default_factory=list[Received])

    def take(self, path: str, headers: dict[str, str], data: bytes) -> Reply:
        match = _PATH.fullmatch(path)
        if match is None or match[2] not in _OPERATIONS:
            return Refusal(404, "UnknownOperationException", path)
        operation = _OPERATIONS[match[2]]
        wrong = unproven(path, headers, data)
        if wrong:
            return Refusal(403, "InvalidSignatureException", wrong)
        body = json.loads(data)
        found = invoke_objections(body) if operation.startswith("InvokeModel") else objections(operation, body)
        if found:
            return Refusal(400, "ValidationException", "; ".join(found))
        self.received.append(Received(unquote(match[1]), operation, body, headers))
        return self.replies.pop(0)


def unproven(path: str, headers: dict[str, str], data: bytes) -> str:
    """Why a request's Authorization is not good; "" if it is. Headers by lower-case name."""
    told = headers.get("authorization", "")
    if told == f"Bearer {BEARER}":
        return ""
    match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=(\S+)", told)
    if match is None:
        return "no signature"
    signed = match[2].split(";")
    unsigned = {name for name in headers if name.startswith("x-amz-") and name not in signed}
    if unsigned or "host" not in signed or headers.get("x-amz-security-token", TOKEN) != TOKEN:
        return f"not signed: {unsigned or 'host'}"
    request = AWSRequest("POST", f"https://{headers['host']}{path}", data=data)
    for name in signed:
        request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(KEY_ID, SECRET), "bedrock", REGION)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if match[1] != auth.scope(request) or match[3] != signature:
        return "the signature does not match"
    return ""


def _handler(bedrock: FakeBedrock) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = bedrock.take(self.path, headers, data)
            if isinstance(reply, list):
                self._send(200, "application/vnd.amazon.eventstream", b"".join(reply))
            elif isinstance(reply, Refusal):
                body = json.dumps({"message": reply.message}).encode()
                self._send(reply.status, "application/json", body, reply.name)
            elif isinstance(reply, Counted):
                self._send(200, "application/json", json.dumps(reply.body).encode(), tokens=reply.input_tokens)
            else:
                self._send(200, "application/json", json.dumps(reply).encode())

        def _send(self, status: int, kind: str, body: bytes, error: str = "", tokens: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amzn-RequestId", "upstream-1")
            if tokens is not None:
                self.send_header("X-Amzn-Bedrock-Input-Token-Count", str(tokens))
            if error:
                self.send_header("x-amzn-ErrorType", f"{error}:http://internal.amazon.com/coral/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def bedrock_thread() -> Iterator[FakeBedrock]:
    bedrock = FakeBedrock()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(bedrock))
    server.daemon_threads = True
    bedrock.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="bedrock")
    thread.start()
    try:
        yield bedrock
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
