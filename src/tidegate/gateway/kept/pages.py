"""Pages of what a consumer owns, in the shapes of the clients' dialects.

A page has as many as were asked for, or as fit into `MAX_PAGE_BYTES`, and then says that there is more. Only what is on
it is read, a few milliseconds at a time.
"""

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw, Struct

from tidegate.dialects.fields import bad_field, unsupported_field
from tidegate.gateway.kept.object_call import ObjectCall
from tidegate.state.owned import Owned
from tidegate.wire.message import Request

MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
_USUAL: Final = 20
_MOST_IDS: Final = 100
_CURSOR: Final = "page_"

Query = dict[str, list[str]]


class _Asked(Struct):
    """`entries`: in the order in which a page takes them up. `backwards`: it tells them the other way round."""

    entries: list[Owned]
    limit: int
    backwards: bool = False


def answer_page(call: ObjectCall, show: Callable[[Owned], bytes], most: int) -> None:
    """Answers with a page of the kind that the call asks for. `show`: an object as JSON. Raises UnreadableRequest."""
    own = call.runtime.owned.of(call.consumer.name, call.asked.kind)
    query = _query(call.exchange.request)
    anthropic = call.asked.dialect.name == "anthropic"
    asked = _anthropic_asked(query, own, most) if anthropic else _openai_asked(query, own, most)
    page: list[tuple[str, Raw]] = []

    def work() -> Iterator[None]:
        size = 0
        for one in asked.entries[: asked.limit]:
            shown = show(one)
            size += len(shown)
            if page and size > MAX_PAGE_BYTES:
                return
            page.append((one.id, Raw(shown)))
            yield

    def then() -> None:
        more = len(page) < len(asked.entries)
        if asked.backwards:
            page.reverse()
        first, last = (page[0][0], page[-1][0]) if page else (None, None)
        told = {"data": [one for _, one in page], "first_id": first, "last_id": last, "has_more": more}
        if anthropic:
            told["next_page"] = f"{_CURSOR}{last}" if more and not asked.backwards else None
        else:
            told["object"] = "list"
        call.answer(msgspec.json.encode(told))

    call.in_slices(work(), then)


def _openai_asked(query: Query, own: list[Owned], most: int) -> _Asked:
    """`after`, `before`, `limit`, `order`, `purpose`."""
    purpose = _last(query, "purpose")
    found = [one for one in own if not purpose or one.purpose == purpose]
    if _last(query, "order") != "asc":
        found.reverse()
    return _cut(query, found, _limit(query, most, most if most > 1000 else _USUAL), "after", "before")


def _anthropic_asked(query: Query, own: list[Owned], most: int) -> _Asked:
    """Newest first. `after_id`, `before_id`, `limit`; of files `page`, which says what `after_id` does, and `ids`."""
    if "scope_id" in query:
        raise unsupported_field("scope_id", "`scope_id`: files of sessions are not served here.")
    found = own[::-1]
    names = frozenset(query.get("ids", []) + query.get("ids[]", []))
    if len(names) > _MOST_IDS:
        raise bad_field(f"`ids` may have {_MOST_IDS} entries at most.", "ids")
    if names:
        return _Asked([one for one in found if one.id in names], _MOST_IDS)
    cursor = _last(query, "page")
    if cursor:
        query = {**query, "after_id": [cursor.removeprefix(_CURSOR)]}
    return _cut(query, found, _limit(query, most, _USUAL), "after_id", "before_id")


def _cut(query: Query, found: list[Owned], limit: int, after: str, before: str) -> _Asked:
    for field in (before, after):
        name = _last(query, field)
        if name:
            place = next((number for number, one in enumerate(found) if one.id == name), None)
            if place is None:
                raise bad_field(f"There is no object `{name[:100]}` to go on from.", field)
            if field == before:
                return _Asked(found[:place][::-1], limit, backwards=True)
            return _Asked(found[place + 1 :], limit)
    return _Asked(found, limit)


def _query(request: Request) -> Query:
    return parse_qs(request.query.decode("latin-1"))


def _last(query: Query, name: str) -> str:
    return query.get(name, [""])[-1]


def _limit(query: Query, most: int, usual: int) -> int:
    text = _last(query, "limit") or str(usual)
    if len(text) > 9 or not text.isdecimal() or not 0 < int(text) <= most:
        raise bad_field(f"`limit` must be a whole number from 1 to {most}.", "limit")
    return int(text)
