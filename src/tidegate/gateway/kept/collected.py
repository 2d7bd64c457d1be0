"""Conversations, vector stores, containers and uploads: made, read, changed and removed as their provider has it.

What is under an object's path (a conversation's items, a store's files) is its owner's with it, and is not registered apart.
What a request names besides must be its consumer's too, and lie at the same credential.
"""

from typing import Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec import Raw, Struct

from tidegate.core.view import Pin, Reference
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field, read_fields, read_string
from tidegate.dialects.named_files import named_files
from tidegate.dialects.responses.hosted import hosted_references
from tidegate.dialects.responses.references import references
from tidegate.gateway.kept import entries, files
from tidegate.gateway.kept.affinity import lead
from tidegate.gateway.kept.batch_plan import shortened
from tidegate.gateway.kept.errand import Told
from tidegate.gateway.kept.object_call import ObjectCall, Place
from tidegate.gateway.kept.object_paths import missing
from tidegate.gateway.kept.pages import answer_page
from tidegate.gateway.kept.places import Spot, free_spot
from tidegate.state.owned import MAX_DETAILS_BYTES, Owned
from tidegate.wire.multipart import Form, MultipartError, read_form

_MOST_LISTED: Final = 100
_MAX_QUERY: Final = 2_048
_JSON: Final = b"application/json"
_FORM: Final = b"multipart/form-data"
_FORMS_AT: Final = frozenset((("upload", "/parts"), ("container", "/files")))
"""Elsewhere a form would name things in ways that are not read: `items[0][id]`."""


class _Completed(Struct):
    file: Raw = Raw(b"null")


_encode = msgspec.json.Encoder().encode
_decode_completed = msgspec.json.Decoder(_Completed).decode


def create(call: ObjectCall) -> None:
    """`POST` of a collection."""
    body, media, named = _read(call)
    if call.asked.kind == "upload":
        _check_purpose(body)
    pin = _leads(call, named, None)
    place = Spot(pin.provider, pin.credential) if pin is not None else free_spot(call)
    entries.make_room(call, call.asked.kind)
    call.making = True

    def then(told: Told) -> None:
        if told.status != 200:
            call.pass_fault(told)
            return
        one = entries.entry_of(call, call.asked.kind, told.body, place, _details(call, told.body))
        entries.put(call, one if call.asked.kind == "upload" else msgspec.structs.replace(one, expires_ns=0))
        call.answer(told.body, told.headers)

    call.ask(place, b"POST", call.asked.path, then, body=body, media=media)


def list_own(call: ObjectCall) -> None:
    """The consumer's own, as their provider described them last."""
    answer_page(call, lambda one: one.details, _MOST_LISTED)


def get(call: ObjectCall) -> None:
    found = _find(call)
    call.ask(found, b"GET", call.asked.path + _query(call), lambda told: _described(call, found, told))


def change(call: ObjectCall) -> None:
    found = _find(call)
    body, media, named = _read(call)
    _leads(call, named, found)
    call.making = True

    def then(told: Told) -> None:
        _described(call, found, told)

    call.ask(found, b"POST", call.asked.path, then, body=body, media=media)


def cancel(call: ObjectCall) -> None:
    """Of an upload: it takes nothing more."""
    found = _find(call)
    call.making = True
    call.ask(found, b"POST", call.asked.path, lambda told: _dropped(call, found, told))


def drop(call: ObjectCall) -> None:
    found = _find(call)
    call.making = True
    call.ask(found, b"DELETE", call.asked.path, lambda told: _dropped(call, found, told))


def complete(call: ObjectCall) -> None:
    """An upload becomes a file."""
    found = _find(call)
    body, media, _ = _read(call)
    entries.make_room(call, "file")
    call.making = True

    def then(told: Told) -> None:
        if told.status != 200:
            call.pass_fault(told)
            return
        made = bytes(_decode_completed(told.body).file)
        details = files.encode(files.FileDetails(Raw(made)))
        entries.put(call, entries.entry_of(call, "file", made, found, details, purpose=found.purpose))
        _dropped(call, found, told)

    call.ask(found, b"POST", call.asked.path, then, body=body, media=media)


def below(call: ObjectCall) -> None:
    """What is under an object's path, answered as it comes."""
    found = _find(call)
    method = call.exchange.request.method
    body = media = b""
    if method == b"POST":
        body, media, named = _read(call)
        _leads(call, named, found)
    call.making = method != b"GET"
    call.pass_on(found, call.asked.path + _query(call), method, body=body, media=media)


def _find(call: ObjectCall) -> Owned:
    found = call.runtime.owned.find(call.consumer.name, call.asked.kind, call.asked.name)
    if found is None:
        raise UnreadableRequest(missing(call.asked.kind, call.asked.name))
    return found


def _described(call: ObjectCall, found: Owned, told: Told) -> None:
    """`told` is the object as it is now."""
    if told.status != 200:
        if told.status == 404:
            call.runtime.owned.drop(found.owner, found.kind, found.id)
        call.pass_fault(told)
        return
    entries.keep(call, found, _details(call, told.body))
    call.answer(told.body, told.headers)


def _dropped(call: ObjectCall, found: Owned, told: Told) -> None:
    if told.status in (200, 404):
        call.runtime.owned.drop(found.owner, found.kind, found.id)
    if told.status == 200:
        call.answer(told.body, told.headers)
    else:
        call.pass_fault(told)


def _details(call: ObjectCall, body: bytes) -> bytes:
    """What a list shows of it; b"" of kinds that no list shows."""
    if call.asked.kind not in ("vector_store", "container"):
        return b""
    return body if len(body) <= MAX_DETAILS_BYTES else bytes(shortened(Raw(body)))


def _check_purpose(body: bytes) -> None:
    """Lines of a batch are read before they go anywhere. Raises UnreadableRequest."""
    if read_string(read_fields(body), "purpose") == "batch":
        message = (
            "`purpose`: a batch's file is read and priced line by line, so it cannot come in parts: POST /v1/files."
        )
        raise bad_field(message, "purpose")


def _read(call: ObjectCall) -> tuple[bytes, bytes, tuple[Reference, ...]]:
    """(the request's body as it goes up, its content type, what it names). Raises UnreadableRequest.

    The content type is of what was read, not what the client says: another would make an upstream read it another way.
    """
    request = call.exchange.request
    media = request.header(b"content-type") or _JSON
    if media[: len(_FORM)].lower() == _FORM:
        if (call.asked.kind, call.asked.below) not in _FORMS_AT:
            raise bad_field("This path takes a JSON object, and no form.")
        try:
            form = read_form(media, request.body)
        except MultipartError as error:
            raise bad_field(f"The form cannot be read: {error}.") from error
        return request.body, form.content_type, _named_in_form(form)
    if not request.body:
        return b"", b"", ()
    fields = read_fields(request.body)
    body = _encode(fields)  # of a name that stood there twice, the one that was looked at
    if call.asked.kind != "conversation":
        return body, _JSON, named_files(body, "file_id")
    items = {"input": fields["items"]} if "items" in fields else {}
    return body, _JSON, references(items) + hosted_references(items, body)


def _named_in_form(form: Form) -> tuple[Reference, ...]:
    """Of `file_id`, `file_ids[]`, and however else a form may spell it. Raises UnreadableRequest."""
    naming = [part for part in form.parts if "file_id" in part.name.lower()]
    if any(part.is_file for part in naming):
        raise bad_field("`file_id` must be the id of a file, in a part without a file's name.", "file_id")
    return tuple(Reference("file", form.value(part).decode(errors="replace"), part.name) for part in naming)


def _leads(call: ObjectCall, named: tuple[Reference, ...], place: Place | None) -> Pin | None:
    """Where what a request names lies: at `place`, if that is given. Raises UnreadableRequest."""
    pin = None
    if place is not None:
        pin = Pin(place.provider, place.credential, f"the {call.asked.noun} is kept there")
    for reference in named:
        pin = lead(call.runtime, call.consumer.name, reference, pin)
    return pin


def _query(call: ObjectCall) -> str:
    """The client's, without what Azure's clients say of the API: that is the provider's own."""
    query = call.exchange.request.query
    if len(query) > _MAX_QUERY:
        raise bad_field(f"The query is longer than {_MAX_QUERY} bytes.")
    pairs = [pair for pair in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if pair[0] != "api-version"]
    return "?" + urlencode(pairs) if pairs else ""
