"""Responses that an upstream keeps: asked for again, followed, cancelled, deleted, by their owner, where they were made.

Each is a call like any other, pinned, with its record, and costs nothing. What those in the background owe is `owing`'s.
"""

import re
from typing import Final
from urllib.parse import parse_qs, quote, unquote_to_bytes

from tidegate.core.problem import Problem
from tidegate.core.usage import UNKNOWN_USAGE, Usage
from tidegate.core.view import Operation, Pin, View
from tidegate.gateway.kept import owing
from tidegate.gateway.record import CallRecord, End
from tidegate.gateway.runtime import Runtime
from tidegate.state.memory import Grant
from tidegate.wire.message import Request

PATH: Final = re.compile(rb"(?:/openai)?/v1/responses/([^/]+)(/input_items|/cancel)?")
_OPERATIONS: Final[dict[tuple[bytes, bytes], Operation]] = {
    (b"GET", b""): "response_read",
    (b"DELETE", b""): "response_delete",
    (b"GET", b"/input_items"): "response_input",
    (b"POST", b"/cancel"): "response_cancel",
}
_MAX_QUERY: Final = 2_048
_NOTHING_USED: Final = Usage(source="reported")


def stored_view(runtime: Runtime, owner: str, request: Request) -> View | Problem | None:
    """Of a request whose path matches `PATH`; None where no upstream keeps such a response for `owner`."""
    asked = PATH.fullmatch(request.path)
    assert asked is not None  # noqa: S101 - the caller has matched it
    verb = asked[2] or b""
    operation = _OPERATIONS.get((request.method, verb))
    one = runtime.owned.find(owner, "response", unquote_to_bytes(asked[1]).decode(errors="replace"))
    if operation is None or one is None:
        return None
    if len(request.query) > _MAX_QUERY:
        return Problem(status=400, code="invalid_request", message=f"The query is longer than {_MAX_QUERY} bytes.")
    query = request.query.decode("latin-1")
    return View(
        dialect="openai-responses",
        operation=operation,
        model=one.model,
        stream=operation == "response_read" and parse_qs(query).get("stream", [""])[-1] == "true",
        fields={},
        body_bytes=0,
        estimated_input_tokens=0,
        worst_input_tokens=0,
        max_output_tokens=0,
        usage_asked=True,
        about=one.id,
        path=f"/{quote(one.id, safe='')}{verb.decode()}" + (f"?{query}" if query else ""),
        pin=Pin(one.provider, one.credential, f"response {one.id} is kept there"),
    )


def account(runtime: Runtime, record: CallRecord, view: View, grant: Grant, end: End) -> None:
    """What the end of a call about a stored response means for who pays: changes `end`, before it is settled."""
    owner = record.consumer.name
    one = runtime.owned.find(owner, "response", view.about)
    if view.background:
        if end.usage.source != "reported" and end.candidate is not None:
            end.usage = UNKNOWN_USAGE  # it goes on without its client, even one that has not heard its name
            if one is not None:
                owing.owe(runtime, record, one, end.candidate.target, grant)
        return
    if one is None:
        return
    told, end.usage = end.usage, _NOTHING_USED
    if end.outcome == "ok" and view.operation == "response_delete":
        runtime.owned.drop(owner, "response", one.id)
    elif one.details:
        owing.pay(runtime, one, told)
