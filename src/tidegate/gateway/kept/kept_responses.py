"""Responses that the gateway keeps where the upstream keeps none: going on from one, and asking for it again.

They are kept in this worker's memory. A name that is not here may be the upstream's own: natively it passes.
"""

from typing import Final
from urllib.parse import parse_qs, unquote_to_bytes

import msgspec

from tidegate.core.problem import Problem
from tidegate.core.view import View
from tidegate.dialects.responses import conversation
from tidegate.gateway.kept.stored_responses import PATH
from tidegate.state.answers import KeptAnswer, KeptAnswers
from tidegate.wire.message import Request

_MOST_ITEMS: Final = 100


def recall(kept: KeptAnswers, owner: str, view: View) -> set[str]:
    """Puts items that are kept here in the place of references to them; which those were."""
    found: set[str] = set()

    def body_of(item: str) -> bytes:
        body = _kept_body(kept, owner, item)
        if body:
            found.add(item)
        return body

    conversation.recall(view, body_of)
    return found


def go_on(kept: KeptAnswers, owner: str, view: View) -> bool:
    """Puts the earlier turn before the request's own input; whether it is here."""
    found = kept.find(owner, view.previous)
    if found is not None:
        conversation.resume(view, found.asked, found.body)
    return found is not None


def keep(kept: KeptAnswers, owner: str, view: View) -> None:
    """Keeps `view.kept`, the answer that a client's encoder put there."""
    name, items = conversation.response_names(view.kept)
    kept.keep(owner, name, KeptAnswer(view.kept, conversation.asked_items(view), items))


def _kept_body(kept: KeptAnswers, owner: str, item: str) -> bytes:
    """Of the response that has the item; b"" if none has."""
    found = kept.find_whole(owner, item)
    return b"" if found is None else found.body


def ask_again(kept: KeptAnswers, owner: str, request: Request) -> bytes | Problem:
    """GET and DELETE of a path that matches `PATH`: the body of the answer, or why there is none."""
    asked = PATH.fullmatch(request.path)
    assert asked is not None  # noqa: S101 - the caller has matched it
    name = unquote_to_bytes(asked[1]).decode(errors="replace")
    items, cancel = asked[2] == b"/input_items", asked[2] == b"/cancel"
    query = parse_qs(request.query.decode("latin-1"))
    if cancel != (request.method == b"POST") or (request.method == b"DELETE" and items):
        message = "A response takes GET and DELETE, its `input_items` GET, its `cancel` POST."
        return Problem(status=405, code="invalid_request", message=message)
    found = kept.find(owner, name)
    if found is None:
        message = f"No response `{name[:100]}` is kept for this key, or any more."
        return Problem(status=404, code="not_found", message=message)
    if query.get("stream", [""])[-1] == "true":
        message = "`stream`: a response that is kept is given whole. Leave it out."
        return Problem(status=400, code="unsupported_field", message=message, field="stream")
    if cancel:
        message = "Only a response that was made with `background: true` can be cancelled."
        return Problem(status=400, code="invalid_request", message=message)
    if request.method == b"DELETE":
        kept.drop(owner, name)
        return msgspec.json.encode({"id": name, "object": "response", "deleted": True})
    if not items:
        return found.body
    limit = query.get("limit", ["20"])[-1]
    if len(limit) > 9 or not limit.isdecimal() or not 0 < int(limit) <= _MOST_ITEMS:
        message = f"`limit` must be a whole number from 1 to {_MOST_ITEMS}."
        return Problem(status=400, code="invalid_request", message=message, field="limit")
    after, order = query.get("after", [""])[-1], query.get("order", ["desc"])[-1]
    return conversation.input_list(found.body, found.asked, after=after, limit=int(limit), newest_first=order != "asc")
