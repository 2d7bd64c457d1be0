"""Responses that an upstream keeps: asked for again, followed, cancelled, deleted, by their owner, where they were made.

Each is a call like any other, pinned, with its record. One that runs in the background was charged as reserved when it was
made; the first answer that tells its usage carries that in its own record, and corrects the budgets.
"""

import logging
import re
from typing import Final
from urllib.parse import parse_qs, quote, unquote_to_bytes

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidegate.core.problem import Problem
from tidegate.core.usage import UNKNOWN_USAGE, Usage
from tidegate.core.view import Operation, Pin, View
from tidegate.decide.compiled import CompiledRoute
from tidegate.gateway.record import End, Owed
from tidegate.gateway.runtime import Runtime
from tidegate.state.memory import Grant
from tidegate.state.owned import NoRoom, Owned
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

log = logging.getLogger(__name__)


class _Debt(Struct):
    """In the details of a response that runs in the background."""

    target: str
    charged_nano: int


_encode = msgspec.json.encode
_decode_debt = msgspec.json.Decoder(_Debt).decode


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


def account(runtime: Runtime, owner: str, view: View, route: CompiledRoute, grant: Grant, end: End) -> None:
    """What the end of a call about a stored response means for who pays: changes `end`, before it is settled."""
    one = runtime.owned.find(owner, "response", view.about)
    if one is None:
        return
    if view.background:
        if end.usage.source != "reported" and end.candidate is not None:
            end.usage = UNKNOWN_USAGE
            debt = _Debt(end.candidate.target.name, grant.money_nano)
            runtime.debts.put(owner, one.id, grant)
            _put(runtime, replace(one, details=_encode(debt)))
        return
    told, end.usage = end.usage, _NOTHING_USED
    if end.outcome == "ok" and view.operation == "response_delete":
        runtime.owned.drop(owner, "response", one.id)
    elif one.details and told.source == "reported" and told.plausible:
        end.usage, end.owed = told, _owed(runtime, owner, one, route)
        _put(runtime, replace(one, details=b""))


def _owed(runtime: Runtime, owner: str, one: Owned, route: CompiledRoute) -> Owed:
    debt = _decode_debt(one.details)
    targets = (target for model in (route, *route.fallbacks) for target in model.targets)
    price = next((target.spec.price for target in targets if target.name == debt.target), None)
    return Owed(debt.charged_nano, price, runtime.debts.take(owner, one.id))


def _put(runtime: Runtime, one: Owned) -> None:
    try:
        runtime.owned.put(one)
    except NoRoom as error:
        log.warning("what a response in the background owes cannot be recorded: %s", error)
