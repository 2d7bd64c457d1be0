"""Anthropic's `/v1/messages/batches`. Source: `anthropic.types.messages` of the official SDK."""

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from tidegate.simulator.kept import MAX_LINES, Kept, KeptBatch, Line
from tidegate.simulator.rejection import Rejection
from tidegate.wire.message import Request

PATH: Final = re.compile(rb"/v1/messages/batches(?:/([^/]+)(/results|/cancel)?)?")
_TYPES: Final = {"in_progress": "in_progress", "cancelling": "canceling"}

Told = tuple[bytes, bytes]


def serves(request: Request) -> bool:
    return PATH.fullmatch(request.path) is not None


def answer(kept: Kept, request: Request, key: str) -> Told:
    """(content type, body). Raises Rejection."""
    asked = PATH.fullmatch(request.path)
    assert asked is not None  # noqa: S101 - the caller has matched it
    if request.header(b"anthropic-version") is None:
        raise Rejection(400, "anthropic-version: header is required", param="anthropic-version")
    name = (asked[1] or b"").decode("latin-1")
    match request.method, asked[2] or b"", bool(name):
        case b"POST", b"", False:
            return _json(_object(_create(kept, request, key), request))
        case b"GET", b"", False:
            found = [_object(one, request) for one in reversed(kept.batches(key))]
            ends = {"first_id": found[0]["id"], "last_id": found[-1]["id"]} if found else {}
            return _json({"data": found, "has_more": False, "first_id": None, "last_id": None, **ends})
        case b"GET", b"", True:
            return _json(_object(kept.batch(key, name), request))
        case b"GET", b"/results", True:
            return b"application/binary", _results(_ended(kept.batch(key, name)))
        case b"POST", b"/cancel", True:
            batch = kept.batch(key, name)
            if batch.status == "in_progress":
                kept.cancel(batch)
            return _json(_object(batch, request))
        case b"DELETE", b"", True:
            kept.drop_batch(_ended(kept.batch(key, name)))
            return _json({"id": name, "type": "message_batch_deleted"})
    raise Rejection(405, "Method Not Allowed")


def _ended(batch: KeptBatch) -> KeptBatch:
    if not batch.ended:
        raise Rejection(400, f"Batch {batch.id} is still being processed.")
    return batch


def _create(kept: Kept, request: Request, key: str) -> KeptBatch:
    try:
        asked = msgspec.json.decode(request.body, type=dict[str, list[dict[str, Any]]])
        lines = [
            Line(one["custom_id"], b"/v1/messages", msgspec.json.encode(one["params"])) for one in asked["requests"]
        ]
    except (msgspec.DecodeError, KeyError) as error:
        raise Rejection(400, f"requests: {error}") from error
    if not 0 < len(lines) <= MAX_LINES:
        raise Rejection(400, "requests: List should have at least 1 item after validation")
    if len({one.custom_id for one in lines}) < len(lines):
        raise Rejection(400, "requests: custom_id must be unique")
    if any(b'"stream":true' in one.body for one in lines):
        raise Rejection(400, "requests: stream is not supported in batches")
    return kept.add_batch("msgbatch_", key, {}, lines)


def _object(batch: KeptBatch, request: Request) -> dict[str, Any]:
    host = (request.header(b"host") or b"localhost").decode("latin-1")
    good = sum(one.status == 200 for one in batch.lines)
    bad = sum(one.status not in (0, 200) for one in batch.lines)
    left = len(batch.lines) - good - bad
    counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    if batch.ended:
        counts["succeeded"], counts["errored"] = good, bad
        counts["canceled" if batch.cancelled else "expired"] = left
    else:
        counts["processing"] = len(batch.lines)
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": _TYPES.get(batch.status, "ended"),
        "request_counts": counts,
        "created_at": _date(batch.created),
        "expires_at": _date(batch.created + 86_400),
        "ended_at": _date(batch.ended) if batch.ended else None,
        "cancel_initiated_at": _date(batch.cancelled) if batch.cancelled else None,
        "archived_at": None,
        "results_url": f"http://{host}/v1/messages/batches/{batch.id}/results" if batch.ended else None,
    }


def _results(batch: KeptBatch) -> bytes:
    return b"".join(
        msgspec.json.encode({"custom_id": line.custom_id, "result": _result(line, batch)}) + b"\n"
        for line in batch.lines
    )


def _result(line: Line, batch: KeptBatch) -> dict[str, Any]:
    if not line.status:
        return {"type": "canceled" if batch.cancelled else "expired"}
    if line.status == 200:
        return {"type": "succeeded", "message": msgspec.Raw(line.answer)}
    return {"type": "errored", "error": msgspec.Raw(line.answer)}


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(told: dict[str, Any]) -> Told:
    return b"application/json", msgspec.json.encode(told)
