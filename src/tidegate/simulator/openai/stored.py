"""Responses that are kept: asked for again, gone on from, cancelled, deleted; each for the credential that made it.

In memory, the oldest go first. One in the background is queued when it is made, in progress when it is first asked for, and
then done.
"""

from collections import OrderedDict
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from tidegate.simulator.openai.rejection import Rejection
from tidegate.simulator.setting import Setting
from tidegate.simulator.surface import Keeping, Need
from tidegate.wire.message import Request

MOST: Final = 1_000
_JSON: Final = b"content-type: application/json\r\n"
_SSE: Final = b"content-type: text/event-stream; charset=utf-8\r\n"
_MOST_ITEMS: Final = 100

Json = dict[str, Any]


class _Stored:
    def __init__(self, keeping: Keeping, whole: Json, events: list[bytes]) -> None:
        self.keeping = keeping
        self.whole = whole
        self.events = events
        self.left = 2 if keeping.background else 0
        """How often it is still found undone."""


class StoredResponses:
    def __init__(self) -> None:
        self._stored: OrderedDict[tuple[str, str], _Stored] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Items, calls and seals, by credential."""

    def check(self, key: str, needs: tuple[Need, ...]) -> None:
        """Raises Rejection for what is not there, or another credential's."""
        for need in needs:
            if need.kind == "response" and (key, need.name) not in self._stored:
                text = f"Previous response with id '{need.name}' not found."
                raise Rejection(400, text, param="previous_response_id", code="previous_response_not_found")
            if need.kind == "item" and (key, need.name) not in self._known:
                text = f"Item with id '{need.name}' not found. Items are not persisted when `store` is set to false."
                raise Rejection(404, text, param="input")
            if need.kind == "call" and (key, need.name) not in self._known:
                text = f"No tool call found for function call output with call_id {need.name}."
                raise Rejection(400, text, param="input")
            if need.kind == "seal" and need.name and (key, need.name) not in self._known:
                text = "The encrypted content could not be verified. Reason: Encrypted content could not be decrypted."
                raise Rejection(400, text, param="input", code="invalid_encrypted_content")

    def keep(self, key: str, keeping: Keeping, setting: Setting, answer_id: str, created: int) -> None:
        self._know(key, answer_id)
        if not keeping.stored:
            return
        whole = msgspec.json.decode(keeping.whole(setting).body(answer_id, created), type=Json)
        events = keeping.stream(setting).events(answer_id, created)
        self._stored[key, whole["id"]] = _Stored(keeping, whole, events)
        for item in whole["output"]:
            self._know(key, item["id"])
            if "call_id" in item:
                self._know(key, item["call_id"])
        if len(self._stored) > MOST:
            self._stored.popitem(last=False)

    def answer(self, key: str, request: Request, name: str, verb: str) -> tuple[bytes, bytes]:
        """(headers, body). Raises Rejection."""
        found = self._stored.get((key, name))
        method = request.method.decode("latin-1")
        if (method, verb) not in (("GET", ""), ("DELETE", ""), ("POST", "cancel"), ("GET", "input_items")):
            raise Rejection(405, f"Not allowed to {method} here.", code="method_not_supported")
        if found is None:
            raise Rejection(404, f"Response with id '{name}' not found.", param="id")
        query = parse_qs(request.query.decode("latin-1"))
        if method == "DELETE":
            del self._stored[key, name]
            return _JSON, msgspec.json.encode({"id": name, "object": "response", "deleted": True})
        if verb == "cancel":
            return _JSON, _cancelled(found, name)
        if verb == "input_items":
            return _JSON, _items(found, name, query)
        if query.get("stream") == ["true"]:
            after = int(query.get("starting_after", ["-1"])[0])
            return _SSE, b"".join(found.events[after + 1 :])
        return _JSON, msgspec.json.encode(_now(found))

    def _know(self, key: str, name: str) -> None:
        self._known[key, name] = None
        if len(self._known) > MOST * 8:
            self._known.popitem(last=False)


def _now(found: _Stored) -> Json:
    if found.left == 0:
        return found.whole
    found.left -= 1
    if found.left == 0:
        return found.whole
    return _undone(found.whole, "in_progress")


def _undone(whole: Json, status: str) -> Json:
    undone = {**whole, "status": status, "incomplete_details": None, "output": [], "usage": None}
    undone["completed_at"] = None
    return undone


def _cancelled(found: _Stored, name: str) -> bytes:
    if not found.keeping.background:
        raise Rejection(400, "Cannot cancel a synchronous response.")
    if found.left:
        found.whole, found.left = _undone(found.whole, "cancelled"), 0
    return msgspec.json.encode(found.whole)


def _items(found: _Stored, name: str, query: dict[str, list[str]]) -> bytes:
    limit = int(query.get("limit", ["20"])[0])
    if not 0 < limit <= _MOST_ITEMS:
        raise Rejection(400, f"Invalid 'limit': expected a value from 1 to {_MOST_ITEMS}.", param="limit")
    items = [
        {"id": f"msg_{name}_{place}", "status": "completed", **one} for place, one in enumerate(found.keeping.asked)
    ]
    if query.get("order") != ["asc"]:
        items.reverse()
    ids = [str(one["id"]) for one in items]
    start = ids.index(query["after"][0]) + 1 if query.get("after", [""])[0] in ids else 0
    page = items[start : start + limit]
    told: Json = {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + limit < len(items),
    }
    return msgspec.json.encode(told)
