"""Pages of what a consumer owns, in the shapes of the clients' dialects."""

from typing import Final
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw

from tidegate.dialects.fields import bad_field
from tidegate.wire.message import Request

_USUAL: Final = 20


def openai_page(request: Request, entries: list[tuple[str, Raw, str]], most: int) -> bytes:
    """`entries`: (id, object, purpose), the oldest first. `after`, `limit`, `order`, `purpose`. Raises UnreadableRequest."""
    query = _query(request)
    purpose = query.get("purpose")
    found = [(name, told) for name, told, its in entries if purpose is None or its == purpose]
    if query.get("order", "desc") != "asc":
        found.reverse()
    page, more = _cut(found, query.get("after", ""), _limit(query, most, most if most > 1000 else _USUAL))
    told = {"object": "list", "data": [one for _, one in page], "first_id": None, "last_id": None, "has_more": more}
    if page:
        told["first_id"], told["last_id"] = page[0][0], page[-1][0]
    return msgspec.json.encode(told)


def anthropic_page(request: Request, entries: list[tuple[str, Raw]]) -> bytes:
    """`entries`: the oldest first; answered newest first. `after_id`, `before_id`, `limit`. Raises UnreadableRequest."""
    query = _query(request)
    limit = _limit(query, 1000, _USUAL)
    before = query.get("before_id", "")
    if before:
        page, more = _cut(entries, before, limit)
        page.reverse()
    else:
        page, more = _cut(entries[::-1], query.get("after_id", ""), limit)
    first, last = (page[0][0], page[-1][0]) if page else (None, None)
    return msgspec.json.encode({"data": [one for _, one in page], "has_more": more, "first_id": first, "last_id": last})


def _cut(entries: list[tuple[str, Raw]], after: str, limit: int) -> tuple[list[tuple[str, Raw]], bool]:
    """(a page, whether there is more)."""
    start = 0
    if after:
        names = [name for name, _ in entries]
        if after not in names:
            raise bad_field(f"There is no object `{after[:100]}` to go on from.", "after")
        start = names.index(after) + 1
    return entries[start : start + limit], len(entries) > start + limit


def _query(request: Request) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(request.query.decode("latin-1")).items()}


def _limit(query: dict[str, str], most: int, usual: int) -> int:
    text = query.get("limit", str(usual))
    if len(text) > 9 or not text.isdecimal() or not 0 < int(text) <= most:
        raise bad_field(f"`limit` must be a whole number from 1 to {most}.", "limit")
    return int(text)
