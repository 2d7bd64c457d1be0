"""OpenAI's `/files` and `/batches` (and Azure's): strict about what a batch's file may hold.

Source: `openai.types.file_object`, `openai.types.batch`, and https://platform.openai.com/docs/guides/batch.
"""

import re
from typing import Any, Final

import msgspec

from tidegate.simulator.kept import MAX_LINES, Kept, KeptBatch, KeptFile, Line
from tidegate.simulator.openai.rejection import missing, wrong_value
from tidegate.simulator.rejection import Rejection
from tidegate.wire.message import Request
from tidegate.wire.multipart import Form, MultipartError, read_form

PATH: Final = re.compile(rb"(?:/v1|/openai/v1|/openai)/(files|batches)(?:/([^/]+)(/content|/cancel)?)?")
_PURPOSES: Final = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_ENDPOINTS: Final = ("/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions", "/v1/moderations")
_FILE_NAME: Final = re.compile(rb'filename="([^"]*)"')

Told = tuple[bytes, bytes]
"""(content type, body)."""


def serves(request: Request) -> bool:
    return PATH.fullmatch(request.path) is not None


def answer(kept: Kept, request: Request, key: str) -> Told:
    """Raises Rejection."""
    asked = PATH.fullmatch(request.path)
    assert asked is not None  # noqa: S101 - the caller has matched it
    if request.path.startswith(b"/openai/") and not request.path.startswith(b"/openai/v1/"):
        if b"api-version=" not in request.query:
            raise Rejection(404, "Resource not found")
    name = (asked[2] or b"").decode("latin-1")
    verb = (request.method, asked[3] or b"", bool(name))
    if asked[1] == b"files":
        return _file(kept, request, key, name, verb)
    return _json(_batch(kept, request, key, name, verb))


def _file(kept: Kept, request: Request, key: str, name: str, verb: tuple[bytes, bytes, bool]) -> Told:
    match verb:
        case (b"POST", b"", False):
            return _json(_file_object(_upload(kept, request, key)))
        case (b"GET", b"", False):
            files = [_file_object(one) for one in kept.files(key)]
            return _json({"object": "list", "data": files, "has_more": False})
        case (b"GET", b"", True):
            return _json(_file_object(kept.file(key, name)))
        case (b"GET", b"/content", True):
            return b"application/octet-stream", kept.file(key, name).content
        case (b"DELETE", b"", True):
            kept.drop_file(key, name)
            return _json({"id": name, "object": "file", "deleted": True})
    raise Rejection(405, "Not allowed on this path.", code="method_not_supported")


def _upload(kept: Kept, request: Request, key: str) -> KeptFile:
    try:
        form = read_form(request.header(b"content-type") or b"", request.body)
    except MultipartError as error:
        raise Rejection(400, f"The form cannot be read: {error}") from error
    purpose = _value(form, "purpose").decode("latin-1")
    if purpose not in _PURPOSES:
        raise wrong_value("purpose", purpose, _PURPOSES)
    content = _value(form, "file")
    (part,) = form.named("file")
    head = form.body[max(0, part.start - 1024) : part.start]
    names = _FILE_NAME.findall(head)
    return kept.add_file(key, purpose, names[-1].decode() if names else "file", content)


def _value(form: Form, name: str) -> bytes:
    parts = form.named(name)
    if len(parts) != 1:
        raise missing(name)
    return form.value(parts[0])


def _batch(kept: Kept, request: Request, key: str, name: str, verb: tuple[bytes, bytes, bool]) -> dict[str, Any]:
    match verb:
        case (b"POST", b"", False):
            return _object(kept, _create(kept, request, key), status="validating")
        case (b"GET", b"", False):
            found = [_object(kept, one) for one in kept.batches(key)]
            return {"object": "list", "data": found, "has_more": False}
        case (b"GET", b"", True):
            return _object(kept, kept.batch(key, name))
        case (b"POST", b"/cancel", True):
            batch = kept.batch(key, name)
            if batch.status != "in_progress":
                raise Rejection(409, f"Cannot cancel a batch with status '{batch.status}'.")
            kept.cancel(batch)
            return _object(kept, batch)
    raise Rejection(405, "Not allowed on this path.", code="method_not_supported")


def _create(kept: Kept, request: Request, key: str) -> KeptBatch:
    try:
        asked = msgspec.json.decode(request.body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Rejection(400, f"We could not parse the JSON body of your request: {error}") from error
    if asked.get("completion_window") != "24h":
        raise wrong_value("completion_window", asked.get("completion_window"), ("24h",))
    if asked.get("endpoint") not in _ENDPOINTS:
        raise wrong_value("endpoint", asked.get("endpoint"), _ENDPOINTS)
    file = kept.file(key, str(asked.get("input_file_id")))
    if file.purpose != "batch":
        raise Rejection(
            400, f"Invalid 'input_file_id': '{file.id}' has purpose '{file.purpose}'.", param="input_file_id"
        )
    lines, errors = _lines(file.content, asked["endpoint"])
    batch = kept.add_batch("batch_", key, asked, lines)
    if errors:
        batch.status, batch.ended, batch.errors = "failed", kept.seconds_now(), errors
    return batch


def _lines(content: bytes, endpoint: str) -> tuple[list[Line], list[dict[str, Any]]]:
    """The lines, and why they cannot be run."""
    lines: list[Line] = []
    errors: list[dict[str, Any]] = []
    names: set[str] = set()
    models: set[str] = set()
    for number, text in enumerate(content.splitlines(), 1):
        try:
            told = msgspec.json.decode(text, type=dict[str, Any])
            body = told["body"]
            model = body["model"]
        except (msgspec.DecodeError, KeyError, TypeError):
            errors.append(_error("invalid_json_line", "This line is not parseable as valid JSON.", number))
            continue
        models.add(model)
        if told.get("method") != "POST" or told.get("url") != endpoint:
            errors.append(
                _error("invalid_url", "The URL provided for this request does not match the batch's.", number)
            )
        elif not isinstance(told.get("custom_id"), str) or told["custom_id"] in names:
            errors.append(_error("duplicate_custom_id", "The custom_id is missing or not unique.", number))
        elif len(models) > 1:
            errors.append(_error("mismatched_model", f"The model '{model}' does not match the first line's.", number))
        else:
            names.add(told["custom_id"])
            lines.append(Line(told["custom_id"], endpoint.encode(), msgspec.json.encode(body)))
    if not lines and not errors:
        errors.append(_error("empty_file", "The input file is empty.", None))
    if len(lines) > MAX_LINES:
        errors.append(_error("too_many_tasks", f"At most {MAX_LINES} requests.", None))
    return lines, errors


def _error(code: str, message: str, line: int | None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": None, "line": line}


def _object(kept: Kept, batch: KeptBatch, status: str = "") -> dict[str, Any]:
    done = [one for one in batch.lines if one.status]
    good = [one for one in done if one.status == 200]
    if batch.ended and not batch.output and not batch.failures:
        batch.output = _write(kept, batch, good, "output")
        batch.failures = _write(kept, batch, [one for one in done if one.status != 200], "error")
    status = batch.status if batch.errors else status or batch.status
    told: dict[str, Any] = {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.asked["endpoint"],
        "errors": {"object": "list", "data": batch.errors} if batch.errors else None,
        "input_file_id": batch.asked["input_file_id"],
        "completion_window": "24h",
        "status": status,
        "output_file_id": batch.output or None,
        "error_file_id": batch.failures or None,
        "created_at": batch.created,
        "expires_at": batch.created + 86_400,
        "cancelling_at": batch.cancelled or None,
        "request_counts": {"total": len(batch.lines), "completed": len(good), "failed": len(done) - len(good)},
        "metadata": batch.asked.get("metadata"),
    }
    told.update({f"{state}_at": batch.ended for state in (batch.status,) if batch.ended})
    return told


def _write(kept: Kept, batch: KeptBatch, lines: list[Line], which: str) -> str:
    """The name of a file with the answers; "" where there is none."""
    if not lines:
        return ""
    content = b"".join(
        msgspec.json.encode(
            {
                "id": kept.name("batch_req_"),
                "custom_id": line.custom_id,
                "response": {
                    "status_code": line.status,
                    "request_id": kept.name("req_"),
                    "body": msgspec.Raw(line.answer),
                },
                "error": None,
            }
        ).replace(b"\n", b"")
        + b"\n"
        for line in lines
    )
    return kept.add_file(batch.key, "batch_output", f"{batch.id}_{which}.jsonl", content).id


def _file_object(file: KeptFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": len(file.content),
        "created_at": file.created,
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
        "expires_at": None,
    }


def _json(told: dict[str, Any]) -> Told:
    return b"application/json", msgspec.json.encode(told)
