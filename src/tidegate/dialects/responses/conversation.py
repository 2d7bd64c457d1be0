"""Going on from an earlier response: what was asked and said then comes before what is asked now.

Source: `openai.types.responses.response_create_params` (`previous_response_id`, `store`), `response_item_list` of the SDK.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

import msgspec
from msgspec import Raw, Struct

from tidegate.core.view import Reference, View
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import present
from tidegate.dialects.responses.references import references

_IMAGE_TOKENS: Final = 3_000
"""Upper bound for one image at high detail, when its bytes are elsewhere."""
_FILE_TOKENS: Final = 200_000
"""Upper bound for one document whose bytes are elsewhere: a hundred dense pages."""
_FILES: Final = (b'"file_id"', b'"file_url"')
_ELSEWHERE: Final = ("previous_response_id", "conversation", "prompt")

_encode = msgspec.json.encode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_any = msgspec.json.Decoder(list[dict[str, Any]]).decode


class _Response(Struct):
    output: list[Raw]
    id: str = ""


class _Item(Struct):
    id: str = ""
    type: str = ""


class _Named(Struct):
    output: list[_Item]
    id: str = ""


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_named = msgspec.json.Decoder(_Named).decode
_decode_item = msgspec.json.Decoder(_Item).decode


def may_be_kept(view: View) -> bool:
    """Unless the client says `store: false`."""
    store = view.fields.get("store")
    return store is None or bytes(store) != b"false"


def is_stored(view: View) -> bool:
    """Whether the answer stays at an upstream that keeps answers."""
    return view.operation == "chat" and may_be_kept(view)


def asked_items(view: View) -> bytes:
    """The request's `input` as a JSON list of items."""
    raw = view.fields.get("input")
    if raw is None or present(raw) is None:
        return b"[]"
    if bytes(memoryview(raw)[:1]) == b'"':
        return b'[{"type":"message","role":"user","content":[{"type":"input_text","text":' + bytes(raw) + b"}]}]"
    return bytes(raw)


def is_hidden(fields: Mapping[str, Raw], refers: Iterable[Reference]) -> bool:
    """Whether a part of the prompt is only at the upstream: what it comes to shows in no byte of the request.

    `refers`: what the fields refer to.
    """
    if any(present(fields[name]) is not None for name in _ELSEWHERE if name in fields):
        return True
    return any(reference.kind == "item" for reference in refers)


def distant_tokens(text: bytes) -> int:
    """What pictures and documents may come to whose bytes are not in the request."""
    if b'"input_' not in text:
        return 0
    files = sum(text.count(name) for name in _FILES)
    return text.count(b'"input_image"') * _IMAGE_TOKENS + files * _FILE_TOKENS


def response_id(body: bytes) -> str:
    return _decode_response(body).id


def response_names(body: bytes) -> tuple[str, tuple[str, ...]]:
    """Of a response, and of its output's items."""
    told = _decode_named(body)
    return told.id, tuple(item.id for item in told.output if item.id)


def recall(view: View, find: Callable[[str], bytes]) -> None:
    """Puts items in the place of references to them. `find`: by an item's id, the body of the response that has it.

    References to what is not here are left: the upstream may have it, else their reader refuses them.
    """
    try:
        items = _decode_list(asked_items(view))
        whole = [_recalled(one, find) for one in items]
    except msgspec.DecodeError:
        return
    if all(new is old for new, old in zip(whole, items, strict=True)):
        return
    _replace_input(view, _encode(whole))
    view.hidden_context = _still_hidden(view)


def _recalled(raw: Raw, find: Callable[[str], bytes]) -> Raw:
    if b"item_reference" not in bytes(raw):
        return raw
    told = _decode_item(raw)
    if told.type != "item_reference":
        return raw
    body = find(told.id)
    output = _decode_response(body).output if body else ()
    return next((item for item in output if _decode_item(item).id == told.id), raw)


def resume(view: View, asked: bytes, body: bytes) -> None:
    """Puts an earlier turn (`asked`, and the response `body`) before the request's own input.

    Estimates grow with it. An `input` that cannot be read is left for its reader to refuse.
    """
    try:
        items = [*_decode_list(asked), *_decode_response(body).output, *_decode_list(asked_items(view))]
    except msgspec.DecodeError:
        return
    whole = _encode(items)
    _replace_input(view, whole)
    del view.fields["previous_response_id"]
    view.hidden_context = _still_hidden(view)
    view.worst_input_tokens += distant_tokens(asked)


def _still_hidden(view: View) -> bool:
    """Now that its input is another one."""
    try:
        refers = references(view.fields)
    except UnreadableRequest:
        refers = ()  # its reader refuses it
    return is_hidden(view.fields, refers)


def _replace_input(view: View, whole: bytes) -> None:
    grown = max(0, len(whole) - len(view.fields.get("input", b"")))
    view.fields["input"] = Raw(whole)
    view.body_bytes += grown
    view.estimated_input_tokens += grown >> 2
    view.worst_input_tokens += grown


def input_list(body: bytes, asked: bytes, *, after: str, limit: int, newest_first: bool) -> bytes:
    """The answer of `GET /v1/responses/{id}/input_items`. Items that came without an id get one by their place."""
    stem = response_id(body).removeprefix("resp_")
    items = [_listed(one, f"{stem}_in_{place}") for place, one in enumerate(_decode_any(asked))]
    if newest_first:
        items.reverse()
    places = [place for place, one in enumerate(items) if one["id"] == after]
    start = places[0] + 1 if places else 0
    page = items[start : start + limit]
    told: dict[str, Any] = {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else "",
        "last_id": page[-1]["id"] if page else "",
        "has_more": start + limit < len(items),
    }
    return _encode(told)


def _listed(item: dict[str, Any], stem: str) -> dict[str, Any]:
    """A message in the short form is told in the long one."""
    kind = item.get("type") or "message"
    told = {**item, "type": kind, "id": item.get("id") or f"{'msg' if kind == 'message' else 'item'}_{stem}"}
    if kind != "message":
        return told
    told.setdefault("status", "completed")
    content = cast(object, told.get("content"))
    if isinstance(content, str):
        said = told.get("role") == "assistant"
        part: dict[str, Any] = {"type": "output_text" if said else "input_text", "text": content}
        told["content"] = [{**part, "annotations": []} if said else part]
    return told
