"""Files, OpenAI's and Anthropic's: each belongs to the consumer that uploaded it, and lies at one credential."""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field
from tidegate.gateway.kept import entries
from tidegate.gateway.kept.batch_plan import Plan, shortened
from tidegate.gateway.kept.batch_watch import Standing
from tidegate.gateway.kept.errand import Told
from tidegate.gateway.kept.object_call import ObjectCall, Place
from tidegate.gateway.kept.object_paths import missing
from tidegate.gateway.kept.pages import answer_page
from tidegate.gateway.kept.places import Spot, free_spot
from tidegate.gateway.kept.placing import Placing, place_lines
from tidegate.state.owned import MAX_DETAILS_BYTES, Kind, Owned
from tidegate.wire.multipart import Form, MultipartError, read_form

_MOST_LISTED: Final = {"file": 10_000, "message_file": 1_000}

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class FileDetails(Struct):
    """What the registry holds of a file beside where it is."""

    object: Raw
    """As the provider described it last."""
    plan: Plan | None = None
    """Of a file that a batch can be made of."""
    batch: str = ""
    """The batch whose output it is."""


decode_details = msgspec.json.Decoder(FileDetails).decode
_encode = msgspec.json.Encoder().encode


def encode(details: FileDetails) -> bytes:
    """Within `MAX_DETAILS_BYTES`."""
    encoded = _encode(details)
    if len(encoded) <= MAX_DETAILS_BYTES:
        return encoded
    return _encode(msgspec.structs.replace(details, object=shortened(details.object)))


def find_file(call: ObjectCall, name: str, kind: Kind = "file") -> Owned:
    """Raises UnreadableRequest: 404, the same whether it is not there or another's."""
    found = call.runtime.owned.find(call.consumer.name, kind, name)
    if found is None:
        raise UnreadableRequest(missing(kind, name))
    return found


def upload(call: ObjectCall) -> None:
    """`POST /v1/files`: as it came, but for the lines of a batch."""
    request = call.exchange.request
    try:
        form = read_form(request.header(b"content-type") or b"", request.body)
    except MultipartError as error:
        raise bad_field(f"The body must be multipart/form-data: {error}.") from error
    purpose = _value(form, "purpose").decode(errors="replace") if call.asked.kind == "file" else ""
    content = _value(form, "file")
    entries.make_room(call, call.asked.kind)
    if purpose != "batch":
        _send(call, form.content_type, request.body, free_spot(call), FileDetails(Raw(b"null")), purpose)
        return
    lines: list[bytes] = []
    placed: list[Placing] = []

    def work() -> Iterator[None]:
        for placing, line in place_lines(call, content):
            lines.append(line)
            if not placed:
                placed.append(placing)
            yield

    def send() -> None:
        (placing,) = placed
        pin = placing.pin
        assert pin is not None  # noqa: S101 - there is a line, and it has been placed
        try:
            body = form.with_value("file", b"".join(lines))
        except MultipartError as error:
            raise bad_field(f"The body cannot be sent on: {error}. Choose another boundary.", "file") from error
        details = FileDetails(Raw(b"null"), placing.plan)
        _send(call, form.content_type, body, Spot(pin.provider, pin.credential), details, purpose)

    call.in_slices(work(), send)


def list_files(call: ObjectCall) -> None:
    """`GET /v1/files`: the consumer's own, as their providers described them last."""
    answer_page(call, lambda one: bytes(decode_details(one.details).object), _MOST_LISTED[call.asked.kind])


def get_file(call: ObjectCall) -> None:
    found = find_file(call, call.asked.name, call.asked.kind)

    def then(told: Told) -> None:
        if told.status != 200:
            _gone(call, found, told)
            return
        details = decode_details(found.details)
        details.object = Raw(told.body)
        entries.keep(call, found, encode(details))
        call.answer(told.body, told.headers)

    call.ask(found, b"GET", call.asked.path, then)


def drop_file(call: ObjectCall) -> None:
    found = find_file(call, call.asked.name, call.asked.kind)
    call.making = True

    def then(told: Told) -> None:
        if told.status != 200:
            _gone(call, found, told)
            return
        call.runtime.owned.drop(found.owner, found.kind, found.id)
        call.answer(told.body, told.headers)

    batch = call.runtime.owned.find(found.owner, "batch", decode_details(found.details).batch)
    after_settlement(call, batch, lambda: call.ask(found, b"DELETE", call.asked.path, then))


def after_settlement(call: ObjectCall, batch: Owned | None, act: Callable[[], None]) -> None:
    """What tells the usage of a batch is not removed before that is read. Of one that runs the provider knows better."""

    def then(standing: Standing) -> None:
        if standing != "unread":
            call.guarded(act)
            return
        message = "What this batch used could not be read yet, and removing it would lose that. Try again later."
        call.refuse(Problem(status=503, code="upstream_error", message=message, retry_after_seconds=30.0), "failed")

    if batch is None:
        act()
    else:
        call.watch.when_settled(batch, then)


def file_content(call: ObjectCall) -> None:
    found = find_file(call, call.asked.name, call.asked.kind)
    call.pass_on(found, call.asked.path)


def _send(call: ObjectCall, media: bytes, body: bytes, place: Place, details: FileDetails, purpose: str) -> None:
    call.making = True

    def then(told: Told) -> None:
        if told.status != 200:
            call.pass_fault(told)
            return
        details.object = Raw(told.body)
        model = details.plan.shares[0].model if details.plan else ""
        kind = call.asked.kind
        entries.put(call, entries.entry_of(call, kind, told.body, place, encode(details), model=model, purpose=purpose))
        call.answer(told.body, told.headers)

    call.ask(place, b"POST", "/files", then, body=body, media=media)


def _gone(call: ObjectCall, one: Owned, told: Told) -> None:
    """What its provider no longer has is forgotten."""
    if told.status == 404:
        call.runtime.owned.drop(one.owner, one.kind, one.id)
    call.pass_fault(told)


def _value(form: Form, name: str) -> bytes:
    parts = form.named(name)
    if len(parts) != 1:
        raise bad_field(f"There are {len(parts)} parts `{name}`: send one.", name)
    return form.value(parts[0])
