"""OpenAI's files: each belongs to the consumer that uploaded it, and lies at one credential of one provider."""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tidegate.core.problem import Problem
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field
from tidegate.dialects.keeping import FILE_KEEPERS
from tidegate.gateway.kept.batch_plan import Plan, shortened
from tidegate.gateway.kept.batch_watch import Standing
from tidegate.gateway.kept.errand import Told
from tidegate.gateway.kept.object_call import ObjectCall, Place
from tidegate.gateway.kept.object_paths import missing
from tidegate.gateway.kept.pages import openai_page
from tidegate.gateway.kept.placing import Placing, in_slices, place_lines
from tidegate.state.owned import MAX_DETAILS_BYTES, NoRoom, Owned
from tidegate.wire.multipart import Form, MultipartError, read_form

MODEL_HEADER: Final = b"x-tidegate-model"

_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


class FileDetails(Struct):
    """What the registry holds of a file beside where it is."""

    object: Raw
    """As the provider described it last."""
    purpose: str = ""
    plan: Plan | None = None
    """Of a file that a batch can be made of."""
    batch: str = ""
    """The batch whose output it is."""


class _Described(Struct):
    id: str
    purpose: str = ""
    expires_at: int | str | None = None
    """Seconds since 1970 of a file; a date of a message batch."""


class _Spot(Struct, frozen=True):
    provider: str
    credential: str


decode_details = msgspec.json.Decoder(FileDetails).decode
_decode_described = msgspec.json.Decoder(_Described).decode
_encode = msgspec.json.Encoder().encode


def _encoded(details: FileDetails) -> bytes:
    """Within `MAX_DETAILS_BYTES`."""
    encoded = _encode(details)
    if len(encoded) <= MAX_DETAILS_BYTES:
        return encoded
    return _encode(msgspec.structs.replace(details, object=shortened(details.object)))


def find_file(call: ObjectCall, name: str) -> Owned:
    """Raises UnreadableRequest: 404, the same whether it is not there or another's."""
    found = call.runtime.owned.find(call.consumer.name, "file", name)
    if found is None:
        raise UnreadableRequest(missing("file", name))
    return found


def upload(call: ObjectCall) -> None:
    """`POST /v1/files`."""
    request = call.exchange.request
    try:
        form = read_form(request.header(b"content-type") or b"", request.body)
    except MultipartError as error:
        raise bad_field(f"The body must be multipart/form-data: {error}.") from error
    purpose = _value(form, "purpose").decode(errors="replace")
    content = _value(form, "file")
    make_room(call)
    if purpose != "batch":
        _send(call, form.content_type, request.body, _spot(call), FileDetails(Raw(b"null"), purpose))
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
        details = FileDetails(Raw(b"null"), purpose, placing.plan)
        _send(call, form.content_type, body, _Spot(pin.provider, pin.credential), details)

    in_slices(call, work(), send)


def list_files(call: ObjectCall) -> None:
    """`GET /v1/files`: the consumer's own, as their providers described them last."""
    own = call.runtime.owned.of(call.consumer.name, "file")
    described = [(one.id, decode_details(one.details)) for one in own]
    call.answer(
        openai_page(call.exchange.request, [(name, one.object, one.purpose) for name, one in described], 10_000)
    )


def get_file(call: ObjectCall) -> None:
    found = find_file(call, call.asked.name)

    def then(told: Told) -> None:
        if told.status != 200:
            _gone(call, found, told)
            return
        details = decode_details(found.details)
        details.object = Raw(told.body)
        register(call, found, details)
        call.answer(told.body, told.headers)

    call.ask(found, b"GET", f"/files/{found.id}", then)


def drop_file(call: ObjectCall) -> None:
    found = find_file(call, call.asked.name)
    call.making = True

    def then(told: Told) -> None:
        if told.status != 200:
            _gone(call, found, told)
            return
        call.runtime.owned.drop(found.owner, "file", found.id)
        call.answer(told.body, told.headers)

    batch = call.runtime.owned.find(found.owner, "batch", decode_details(found.details).batch)
    after_settlement(call, batch, lambda: call.ask(found, b"DELETE", f"/files/{found.id}", then))


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
    found = find_file(call, call.asked.name)
    call.pass_on(found, f"/files/{found.id}/content")


def make_room(call: ObjectCall) -> None:
    """Before a provider makes something. Raises UnreadableRequest: 429."""
    try:
        call.runtime.owned.make_room(call.consumer.name, call.asked.kind)
    except NoRoom as error:
        raise _no_room(error) from error


def put(call: ObjectCall, one: Owned) -> None:
    """What a provider has made. Raises UnreadableRequest: 429."""
    try:
        call.runtime.owned.put(one)
    except NoRoom as error:
        raise _no_room(error) from error


def _no_room(error: NoRoom) -> UnreadableRequest:
    return UnreadableRequest(Problem(status=429, code="rate_limit_exceeded", message=str(error), should_retry=False))


def register(call: ObjectCall, one: Owned, details: FileDetails) -> None:
    """Writes down what is new of an object; what cannot be is as it was."""
    encoded = _encoded(details)
    if encoded == one.details:
        return
    try:
        call.runtime.owned.put(msgspec.structs.replace(one, details=encoded))
    except (NoRoom, ValueError) as error:
        call.record.notes.append(str(error)[:200])


def _send(call: ObjectCall, media: bytes, body: bytes, place: Place, details: FileDetails) -> None:
    call.making = True

    def then(told: Told) -> None:
        if told.status != 200:
            call.pass_fault(told)
            return
        described = read_described(told.body)
        details.object = Raw(told.body)
        details.purpose = described.purpose or details.purpose
        expires = described.expires_at if isinstance(described.expires_at, int) else 0
        file = Owned(
            kind="file",
            id=described.id,
            owner=call.consumer.name,
            provider=place.provider,
            credential=place.credential,
            created_ns=call.record.time_ns,
            expires_ns=expires * 1_000_000_000,
            model=details.plan.shares[0].model if details.plan else "",
            details=_encoded(details),
        )
        put(call, file)
        call.answer(told.body, told.headers)

    call.ask(place, b"POST", "/files", then, body=body, media=media)


def read_described(body: bytes) -> _Described:
    """Raises UnreadableRequest: 502."""
    try:
        return _decode_described(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"The provider's answer cannot be read: {error}."
        raise UnreadableRequest(Problem(status=502, code="upstream_error", message=message)) from error


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


def _spot(call: ObjectCall) -> _Spot:
    """Where a file goes that names no model. Raises UnreadableRequest."""
    consumer, routes = call.consumer, call.runtime.compiled.routes
    asked = (call.exchange.request.header(MODEL_HEADER) or b"").decode(errors="replace")
    if asked and asked not in consumer.models:
        message = f"`{MODEL_HEADER.decode()}` names `{asked[:100]}`, which is no model of this key."
        raise UnreadableRequest(Problem(status=404, code="model_not_found", message=message, field="model"))
    names = [asked] if asked else sorted(consumer.models)
    targets = [target for name in names for target in routes[name].targets if target.provider.dialect in FILE_KEEPERS]
    providers = {target.provider.name: target.provider for target in targets}
    if asked and targets:
        first = min(targets, key=lambda one: one.spec.priority).provider
        providers = {first.name: first}
    if len(providers) != 1:
        which = (
            "None of this key's models is" if not providers else "Models of this key are at several providers, or not"
        )
        message = (
            f"{which if not asked else f'Model `{asked}` is not'} at a provider that keeps files: send the header "
            f"`{MODEL_HEADER.decode()}` with the name of the model that will read it."
        )
        raise bad_field(message, MODEL_HEADER.decode())
    (provider,) = providers.values()
    health = call.runtime.health
    free = [one for one in provider.credentials if not health.benched_for((provider.name, one.id))]
    # Always the same of several, so that a request can name two of a consumer's files.
    chosen = max(free or provider.credentials, key=lambda one: blake2b(f"{consumer.name}/{one.id}".encode()).digest())
    return _Spot(provider.name, chosen.id)
