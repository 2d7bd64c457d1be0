"""OpenAI's REST dialect: chat completions, legacy completions, embeddings, moderations, models.

Source: the types of the official `openai` SDK, and https://platform.openai.com/docs/api-reference.
Bodies are read at their top level only and re-emitted, each value's bytes untouched: unknown fields survive, and of
duplicate keys an upstream sees the one that was decided upon.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Usage
from tidegate.core.view import Operation, View
from tidegate.dialects.dialect import Answer, Fault, StreamEvent, UnreadableAnswer, UnreadableRequest

PATHS: Final[Mapping[Operation, str]] = {
    "chat": "/chat/completions",
    "completion": "/completions",
    "embedding": "/embeddings",
    "moderation": "/moderations",
}
_REQUIRED: Final[Mapping[Operation, str]] = {
    "chat": "messages",
    "completion": "prompt",
    "embedding": "input",
    "moderation": "input",
}
_DONE: Final = b"[DONE]"
_IMAGE_TOKENS: Final = 3_000
"""Upper bound for one image part at high detail, when its bytes are elsewhere."""
_MAX_OUTPUT: Final = 100_000_000
_AFFINITY_BYTES: Final = 1_024
_COMPLETION_DEFAULT_OUTPUT: Final = 16
"""Legacy completions stop at 16 tokens unless told otherwise."""

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_int = msgspec.json.Decoder(int).decode


class _Details(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    reasoning_tokens: int | None = None


class _UsageObject(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


_decode_usage = msgspec.json.Decoder(_UsageObject).decode


class _ErrorObject(Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _ErrorBody(Struct):
    error: _ErrorObject | str | None = None


_decode_error = msgspec.json.Decoder(_ErrorBody).decode


_ABSENT: Final = Raw(b"null")


class _Delta(Struct):
    content: Raw = _ABSENT
    tool_calls: Raw = _ABSENT
    function_call: Raw = _ABSENT
    refusal: Raw = _ABSENT
    audio: Raw = _ABSENT
    reasoning: Raw = _ABSENT
    reasoning_content: Raw = _ABSENT


class _Choice(Struct):
    delta: _Delta | None = None
    text: Raw = _ABSENT
    finish_reason: str | None = None


class _Chunk(Struct):
    choices: list[_Choice] | None = None
    usage: Raw = _ABSENT
    error: Raw = _ABSENT


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class OpenAI:
    """The dialect on both sides. Stateless."""

    name: str = "openai"

    def read(self, operation: Operation, body: bytes) -> View:
        fields = _read_fields(body)
        model = _string(fields, "model")
        required = _REQUIRED[operation]
        if required not in fields or bytes(fields[required]) == b"null":
            raise _bad(f"`{required}` is missing: add it to the request body.", required)
        stream = operation in ("chat", "completion") and _boolean(fields, "stream")
        size = len(body)
        images = _images(fields[required]) if operation in ("chat", "moderation") else 0
        return View(
            dialect=self.name,
            operation=operation,
            model=model,
            stream=stream,
            fields=fields,
            body_bytes=size,
            estimated_input_tokens=(size >> 2) + 1,
            worst_input_tokens=size + images * _IMAGE_TOKENS,
            max_output_tokens=_max_output(operation, fields),
            usage_asked=stream and _usage_asked(fields),
            affinity=bytes(memoryview(fields[required])[:_AFFINITY_BYTES]),
        )

    def upstream_path(self, operation: Operation, model: str, base_path: str, api_version: str | None) -> str:
        return base_path + PATHS[operation]

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"authorization", b"Bearer " + api_key.encode()

    def encode_request(self, view: View, model: str, *, output_cap: int | None, report_stream_usage: bool) -> bytes:
        fields = view.fields
        fields["model"] = Raw(_encode(model))
        if output_cap is not None and view.max_output_tokens is None:
            name = "max_completion_tokens" if view.operation == "chat" else "max_tokens"
            fields[name] = Raw(b"%d" % output_cap)
        if view.stream and report_stream_usage and not view.usage_asked:
            options = fields.get("stream_options")
            if options is None or bytes(options) == b"null":
                fields["stream_options"] = Raw(b'{"include_usage":true}')
            else:
                merged = _decode_object(options)
                merged["include_usage"] = Raw(b"true")
                fields["stream_options"] = Raw(_encode(merged))
        return _encode(fields)

    def read_answer(self, operation: Operation, body: bytes) -> Answer:
        try:
            fields = _decode_object(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"the answer is not a JSON object: {error}") from error
        usage = fields.get("usage")
        if usage is not None:
            return Answer(fields, usage_of(usage))
        # Moderations are free of charge and report no usage.
        return Answer(fields, Usage(source="reported") if operation == "moderation" else Usage())

    def encode_answer(self, answer: Answer, model: str) -> bytes:
        if "model" in answer.fields:
            answer.fields["model"] = Raw(_encode(model))
        return _encode(answer.fields)

    def stream_reader(self, view: View) -> "ChunkReader":
        choices = _count(view.fields, "n") or 1
        return ChunkReader(view.model, choices=choices, withhold_usage=not view.usage_asked)

    def read_fault(self, status: int, body: bytes) -> Fault:
        return read_error(body)

    def encode_problem(self, problem: Problem) -> bytes:
        return _encode({"error": error_object(problem)})

    def encode_stream_problem(self, problem: Problem) -> bytes:
        return b"data: " + self.encode_problem(problem) + b"\n\n"


class AzureOpenAI(OpenAI):
    """The same wire format under Azure's paths and credential header.

    Source: https://learn.microsoft.com/azure/ai-services/openai/reference. With an `api-version` the model is a
    deployment in the path; without one the `/openai/v1` surface is used, where it stays in the body.
    """

    name = "azure-openai"

    def upstream_path(self, operation: Operation, model: str, base_path: str, api_version: str | None) -> str:
        root = base_path.removesuffix("/openai/v1").removesuffix("/openai")
        if api_version is None:
            return f"{root}/openai/v1{PATHS[operation]}"
        return f"{root}/openai/deployments/{model}{PATHS[operation]}?api-version={api_version}"

    def credential_header(self, api_key: str) -> tuple[bytes, bytes]:
        return b"api-key", api_key.encode()


class ChunkReader:
    """Reads a stream of chat or text completion chunks, event by event.

    Every chunk gets the public model name. The usage chunk is withheld when the client did not ask for it. Only events
    that the gateway must act on are decoded; the rest are recognised by their bytes, which is safe because a quotation
    mark inside a JSON string is always escaped.
    """

    def __init__(self, model: str, *, choices: int, withhold_usage: bool) -> None:
        self.usage: Usage | None = None
        self.content_events = 0
        self._model = b'"model":' + _encode(model)
        self._upstream_model = b""
        self._withhold = withhold_usage
        self._committed = False
        self._unfinished = choices

    def read(self, event: bytes) -> StreamEvent:
        """`event` is one whole SSE event, its blank line included. Raises UnreadableAnswer."""
        if (
            self._committed
            and event.startswith(b"data: {")
            and (b'"usage"' not in event or b'"usage":null' in event)
            and b'"error"' not in event
            and (b'"finish_reason"' not in event or b'"finish_reason":null' in event)
        ):
            self.content_events += 1
            return StreamEvent(self._renamed(event), content=True)
        return self._read_slowly(event)

    def _read_slowly(self, event: bytes) -> StreamEvent:
        data = _sse_payload(event)
        if not data:
            return StreamEvent(event)  # a comment: some upstreams keep idle connections alive with them
        if data == _DONE:
            return StreamEvent(event, done=True)
        try:
            chunk = _decode_chunk(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"a chunk of the stream is not what the dialect promises: {error}") from error
        if bytes(chunk.error) != b"null":
            return StreamEvent(event, fault=read_error(data))
        reported = bytes(chunk.usage) != b"null"
        if reported:
            self.usage = usage_of(chunk.usage)
        if reported and not chunk.choices and self._withhold:
            return StreamEvent(b"")
        self._unfinished -= sum(choice.finish_reason is not None for choice in chunk.choices or ())
        if _has_content(chunk):
            self._committed = True
            self.content_events += 1
            return StreamEvent(self._renamed(event), content=True)
        return StreamEvent(self._renamed(event))

    def end_marker(self) -> bytes | None:
        """Some servers (`transformers serve`) end the body after the last `finish_reason`, without `[DONE]`."""
        return b"data: [DONE]\n\n" if self._unfinished <= 0 else None

    def _renamed(self, event: bytes) -> bytes:
        known = self._upstream_model
        if known and event.count(known) == 1:
            event = event.replace(known, self._model, 1)
        else:
            event = self._renamed_slowly(event)
        if self._withhold and b',"usage":null' in event:
            # It is there only because the gateway asked for usage; the client did not.
            event = event.replace(b',"usage":null', b"", 1)
        return event

    def _renamed_slowly(self, event: bytes) -> bytes:
        data = _sse_payload(event)
        fields = _decode_object(data)
        model = fields.get("model")
        if model is None:
            return event
        self._upstream_model = b'"model":' + bytes(model)
        if event.count(self._upstream_model) == 1:
            return event.replace(self._upstream_model, self._model, 1)
        fields["model"] = Raw(self._model[len(b'"model":') :])
        return event.replace(data, _encode(fields), 1) if data in event else b"data: " + _encode(fields) + b"\n\n"


def usage_of(raw: Raw | bytes) -> Usage:
    """OpenAI's usage object to disjoint buckets: its totals include cached, audio and reasoning tokens.

    A total that is missing makes the whole unknown, never 0. Embeddings report no completion tokens: those are 0.
    """
    try:
        told = _decode_usage(raw)
    except (msgspec.DecodeError, RecursionError):
        return Usage(raw=bytes(raw))
    if told.prompt_tokens is None:
        return Usage(raw=bytes(raw))
    in_details = told.prompt_tokens_details or _Details()
    out_details = told.completion_tokens_details or _Details()
    cached, written = in_details.cached_tokens or 0, in_details.cache_write_tokens or 0
    audio_in, image_in = in_details.audio_tokens or 0, in_details.image_tokens or 0
    reasoning, audio_out = out_details.reasoning_tokens or 0, out_details.audio_tokens or 0
    image_out = out_details.image_tokens or 0
    return Usage(
        input=max(0, told.prompt_tokens - cached - written - audio_in - image_in),
        cache_read=cached,
        cache_write_5m=written,
        input_audio=audio_in,
        input_image=image_in,
        output=max(0, (told.completion_tokens or 0) - reasoning - audio_out - image_out),
        reasoning=reasoning,
        output_audio=audio_out,
        output_image=image_out,
        source="reported",
        raw=bytes(raw),
    )


def read_error(body: bytes) -> Fault:
    """`{"error": {...}}`, or `{"error": "text"}` as some compatible servers write it."""
    try:
        error = _decode_error(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Fault("", "", "")
    if isinstance(error, str):
        return Fault("", "", error)
    if error is None:
        return Fault("", "", "")
    return Fault(error.type or "", str(error.code or ""), error.message or "")


_ERROR_TYPES: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    408: "timeout",
    413: "invalid_request_error",
    429: "rate_limit_error",
    431: "invalid_request_error",
}


def error_object(problem: Problem) -> dict[str, object]:
    """OpenAI's error object; what a bucket's refusal needs to be understood stands beside it, in `tidegate`."""
    shape: dict[str, object] = {
        "message": problem.message,
        "type": _ERROR_TYPES.get(problem.status, "server_error"),
        "param": problem.field,
        "code": problem.code,
    }
    if problem.bucket is not None:
        shape["tidegate"] = {
            "bucket": problem.bucket,
            "limit": problem.limit,
            "used": problem.used,
            "resets_at_unix_ms": None if problem.resets_at_ns is None else problem.resets_at_ns // 1_000_000,
        }
    return shape


def model_object(name: str, created: int) -> dict[str, object]:
    """One entry of `GET /v1/models`."""
    return {"id": name, "object": "model", "created": created, "owned_by": "tidegate"}


def _sse_payload(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\ndata:" not in event:
        end = event.find(b"\n")
        return event[6 : end if end >= 0 else len(event)].strip()
    lines = (line for line in event.splitlines() if line.startswith(b"data:"))
    return b"\n".join(line[5:].strip() for line in lines)


_EMPTY: Final = (b"null", b'""', b"[]")


def _filled(raw: Raw) -> bool:
    return bytes(raw) not in _EMPTY


def _has_content(chunk: _Chunk) -> bool:
    for choice in chunk.choices or ():
        if choice.finish_reason is not None or _filled(choice.text):
            return True
        delta = choice.delta
        if delta is not None and (
            _filled(delta.content)
            or _filled(delta.tool_calls)
            or _filled(delta.function_call)
            or _filled(delta.refusal)
            or _filled(delta.audio)
            or _filled(delta.reasoning)
            or _filled(delta.reasoning_content)
        ):
            return True
    return False


def _bad(message: str, field: str | None = None) -> UnreadableRequest:
    return UnreadableRequest(Problem(status=400, code="invalid_request", message=message, field=field))


def _read_fields(body: bytes) -> dict[str, Raw]:
    if not body:
        raise _bad("The request has no body: send a JSON object.")
    try:
        if not body.isascii():
            str(body, "utf-8")  # the decoder does not check bytes inside the strings that it skips
        return _decode_object(body)
    except UnicodeDecodeError as error:
        raise _bad(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    except RecursionError as error:
        raise _bad("The body is nested too deeply.") from error
    except msgspec.ValidationError as error:
        raise _bad(f"The body must be a JSON object: {error}.") from error
    except msgspec.DecodeError as error:
        raise _bad(f"The body is not JSON: {error}.") from error


def _string(fields: dict[str, Raw], name: str) -> str:
    raw = fields.get(name)
    if raw is None:
        raise _bad(f"`{name}` is missing: name the model to call, for example `gpt-4.1`.", name)
    try:
        value = _decode_str(raw)
    except msgspec.DecodeError:
        value = ""
    if not value:
        raise _bad(f"`{name}` must be a string that is not empty.", name)
    return value


def _boolean(fields: dict[str, Raw], name: str) -> bool:
    raw = fields.get(name)
    if raw is None:
        return False
    text = bytes(raw)
    if text == b"true":
        return True
    if text in (b"false", b"null"):
        return False
    raise _bad(f"`{name}` must be true or false.", name)


def _count(fields: dict[str, Raw], name: str) -> int | None:
    raw = fields.get(name)
    if raw is None or bytes(raw) == b"null":
        return None
    try:
        value = _decode_int(raw)
    except msgspec.DecodeError:
        value = 0
    if not 0 < value <= _MAX_OUTPUT:
        raise _bad(f"`{name}` must be a whole number from 1 to {_MAX_OUTPUT}.", name)
    return value


def _max_output(operation: Operation, fields: dict[str, Raw]) -> int | None:
    """The client's bound over all choices (and all prompts of a legacy completion) together."""
    if operation in ("embedding", "moderation"):
        return 0
    if operation == "chat":
        bound, choices = (
            _count(fields, "max_completion_tokens") or _count(fields, "max_tokens"),
            _count(fields, "n") or 1,
        )
        return None if bound is None else bound * choices
    bound = _count(fields, "max_tokens") or _COMPLETION_DEFAULT_OUTPUT
    choices = max(_count(fields, "n") or 1, _count(fields, "best_of") or 1)
    return bound * choices * _prompts(fields["prompt"])


def _prompts(raw: Raw) -> int:
    """How many prompts a legacy completion holds: a string or a list of token ids is one."""
    if not bytes(memoryview(raw)[:1]) == b"[":
        return 1
    items = _decode_list(raw)
    if not items or bytes(memoryview(items[0])[:1]) not in (b'"', b"["):
        return 1
    return len(items)


def _images(raw: Raw) -> int:
    """How many image parts there are. Looking for one byte first is twenty times as fast, and prose seldom has it."""
    text = bytes(raw)
    return text.count(b'"image_url"') if b"_" in text else 0


def _usage_asked(fields: dict[str, Raw]) -> bool:
    raw = fields.get("stream_options")
    if raw is None or bytes(raw) == b"null":
        return False
    try:
        options = _decode_object(raw)
    except msgspec.DecodeError as error:
        raise _bad("`stream_options` must be an object.", "stream_options") from error
    return _boolean(options, "include_usage")
