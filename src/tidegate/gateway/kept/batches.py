"""Batches: OpenAI's, of a file that was uploaded here, and Anthropic's, of requests in the body.

A batch belongs to the consumer that made it. It claims every request, their estimated tokens and their worst cost when it is
made, and holds that until it has ended.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.claims import Refusal
from tidegate.core.problem import Problem
from tidegate.decide.admit import refusal_problem
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field, read_fields, read_string
from tidegate.dialects.registry import DIALECTS
from tidegate.gateway.endpoints import Endpoint
from tidegate.gateway.kept import entries, files
from tidegate.gateway.kept.batch_answers import PATHS
from tidegate.gateway.kept.batch_plan import BatchDetails, Plan, details_of, encode_details
from tidegate.gateway.kept.batch_record import UNREGISTERED, UNSEEN
from tidegate.gateway.kept.errand import Told
from tidegate.gateway.kept.object_call import ObjectCall, Place
from tidegate.gateway.kept.object_paths import missing
from tidegate.gateway.kept.pages import answer_page
from tidegate.gateway.kept.placing import Placing
from tidegate.gateway.record import MAY_HAVE_COST
from tidegate.state.memory import Grant
from tidegate.state.owned import Owned

_MESSAGES: Final = Endpoint(DIALECTS["anthropic"], "chat")
_MESSAGES_PATH: Final = "/v1/messages"
_MOST_LISTED: Final = {"batch": 100, "message_batch": 1_000}

_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list = msgspec.json.Decoder(list[dict[str, Raw]]).decode


def create_batch(call: ObjectCall) -> None:
    """`POST /v1/batches`: where its file is."""
    fields = read_fields(call.exchange.request.body)
    if "input_file_id" not in fields:
        raise bad_field("`input_file_id` is missing: upload a file with purpose `batch` first.", "input_file_id")
    file = files.find_file(call, read_string(fields, "input_file_id"))
    plan = files.decode_details(file.details).plan
    if plan is None:
        raise bad_field(f"File `{file.id}` was not uploaded with purpose `batch`.", "input_file_id")
    _check_endpoint(fields, file, plan)
    _check_still_allowed(call, plan)
    _create(call, file, plan, _encode(fields))  # of a name that stood there twice, the one that was looked at


def create_message_batch(call: ObjectCall) -> None:
    """`POST /v1/messages/batches`: where its requests lead."""
    fields = read_fields(call.exchange.request.body)
    try:
        requests = _decode_list(fields.get("requests", Raw(b"null")))
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad_field(f"`requests` must be a list of objects: {error}.", "requests") from error
    if not requests:
        raise bad_field("`requests` is empty: a batch needs one at least.", "requests")
    placing = Placing(call, _MESSAGES_PATH)

    def work() -> Iterator[None]:
        for number, one in enumerate(requests):
            where = f"`requests[{number}].params`"
            if "params" not in one:
                raise bad_field(f"{where} is missing.", "requests")
            one["params"] = Raw(placing.place(where, _MESSAGES, bytes(one["params"])))
            yield

    def send() -> None:
        fields["requests"] = Raw(_encode(requests))
        assert placing.pin is not None  # noqa: S101 - there is a request, and it has been placed
        _create(call, placing.pin, placing.plan, _encode(fields))

    call.in_slices(work(), send)


def get_batch(call: ObjectCall) -> None:
    found = _find(call)

    def then(told: Told) -> None:
        if told.status != 200:
            if told.status == 404:
                call.watch.when_settled(found, lambda standing: None)
            call.pass_fault(told)
            return
        call.watch.seen(found, told.body)
        call.answer(_shown(found, told.body), told.headers)

    call.ask(found, b"GET", _path(found), then)


def cancel_batch(call: ObjectCall) -> None:
    found = _find(call)
    call.making = True

    def then(told: Told) -> None:
        if told.status != 200:
            call.pass_fault(told)
            return
        call.watch.seen(found, told.body)
        call.answer(_shown(found, told.body), told.headers)

    media = b"application/json"
    call.ask(found, b"POST", f"{_path(found)}/cancel", then, media=media)


def list_batches(call: ObjectCall) -> None:
    """The consumer's own, as their providers described them last: when they were asked for, or looked at by the watch."""
    answer_page(call, lambda one: _shown(one, bytes(details_of(one).object)), _MOST_LISTED[call.asked.kind])


def message_results(call: ObjectCall) -> None:
    found = _find(call)
    call.pass_on(found, f"{_path(found)}/results")


def drop_message_batch(call: ObjectCall) -> None:
    found = _find(call)
    call.making = True

    def then(told: Told) -> None:
        if told.status in (200, 404):
            call.runtime.owned.drop(found.owner, found.kind, found.id)
        if told.status == 200:
            call.answer(told.body, told.headers)
        else:
            call.pass_fault(told)

    def drop() -> None:
        call.ask(found, b"DELETE", _path(found), then)

    files.after_settlement(call, found, drop)


def _create(call: ObjectCall, place: Place, plan: Plan, body: bytes) -> None:
    entries.make_room(call, call.asked.kind)
    record = call.record
    taken = call.watch.take(call.consumer.name, plan)
    if isinstance(taken, Refusal):
        record.refused = taken
        call.refuse(refusal_problem(taken, record.time_ns))
        return
    grant = taken
    call.making = True

    def then(told: Told) -> None:
        details = _details(call, plan, grant)
        if told.status != 200:
            _give_back(call, grant)
            if told.failure is not None and told.failure.kind in MAY_HAVE_COST:
                details.reserved_nano = 0
                call.watch.lose(_batch(call, place, "?", details), details, grant, UNSEEN)
            call.pass_fault(told)
            return
        batch = _batch(call, place, "?", details)
        try:
            described = entries.read_described(told.body)
            details.object = Raw(told.body)
            batch = _batch(call, place, described.id, details)
            entries.put(call, batch)
        except Exception:
            if grant is not None:  # it runs, and nobody will learn what it used: charged as reserved
                call.runtime.state.settle(grant, tokens=None, money_nano=None)
            call.watch.lose(batch, details, grant, UNREGISTERED)
            raise
        call.watch.watch(batch, grant)
        call.watch.seen(batch, told.body)
        call.answer(_shown(batch, told.body), told.headers)

    try:
        call.ask(place, b"POST", PATHS[call.asked.kind], then, body=body, media=b"application/json")
    except UnreadableRequest:
        _give_back(call, grant)
        raise


def _give_back(call: ObjectCall, grant: Grant | None) -> None:
    if grant is not None:
        call.runtime.state.release(grant)


def _details(call: ObjectCall, plan: Plan, grant: Grant | None) -> BatchDetails:
    consumer = call.consumer
    return BatchDetails(
        Raw(b"{}"),
        plan,
        call.runtime.ids.next(),
        consumer.team,
        call.record.key,
        0 if grant is None else grant.money_nano,
        consumer.tags,
    )


def _batch(call: ObjectCall, place: Place, name: str, details: BatchDetails) -> Owned:
    models = {one.model for one in details.plan.shares}
    return Owned(
        kind=call.asked.kind,
        id=name,
        owner=call.consumer.name,
        provider=place.provider,
        credential=place.credential,
        created_ns=call.record.time_ns,
        model=models.pop() if len(models) == 1 else "",
        details=encode_details(details),
    )


def _check_endpoint(fields: dict[str, Raw], file: Owned, plan: Plan) -> None:
    """A provider would fail all of its lines, after a while. Azure's clients leave `/v1` out. Raises UnreadableRequest."""
    endpoint = read_string(fields, "endpoint")
    if endpoint.removeprefix("/v1") != plan.endpoint.removeprefix("/v1"):
        message = (
            f"`endpoint` is `{endpoint[:100]}`, but line {plan.first_line} of file `{file.id}` is for `{plan.endpoint}`, "
            "as are all after it."
        )
        raise bad_field(message, "endpoint")


def _check_still_allowed(call: ObjectCall, plan: Plan) -> None:
    """The configuration may have changed since the file was uploaded. Raises UnreadableRequest."""
    consumer = call.consumer
    for share in plan.shares:
        if share.model not in consumer.models:
            message = f"This key may no longer call model `{share.model}`, which the file names."
            raise UnreadableRequest(
                Problem(status=403, code="model_not_allowed", message=message, field="input_file_id")
            )
    if consumer.hard_budget and not (plan.bounded and all(one.price for one in plan.shares)):
        message = (
            "The file was uploaded before this key had a hard budget, so its cost is not bounded: upload it again."
        )
        raise bad_field(message, "input_file_id")


def _find(call: ObjectCall) -> Owned:
    found = call.runtime.owned.find(call.consumer.name, call.asked.kind, call.asked.name)
    if found is None:
        raise UnreadableRequest(missing(call.asked.kind, call.asked.name))
    return found


def _path(batch: Owned) -> str:
    return f"{PATHS[batch.kind]}/{batch.id}"


def _shown(batch: Owned, body: bytes) -> bytes:
    """As the client sees it: the public model's name, and of results the path alone, which SDKs put behind their address
    of this gateway: what a request says of its host is not to be trusted."""
    try:
        fields = _decode_object(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    if batch.kind == "message_batch":
        if bytes(fields.get("results_url", b"null")) != b"null":
            fields["results_url"] = Raw(_encode(f"/v1/messages/batches/{batch.id}/results"))
    elif bytes(fields.get("model", b"null")) != b"null" and batch.model:
        fields["model"] = Raw(_encode(batch.model))
    return _encode(fields)
