"""What a provider has made or described, as an entry of the registry."""

from datetime import datetime

import msgspec
from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.gateway.kept.object_call import ObjectCall, Place
from tidegate.state.owned import Kind, NoRoom, Owned


class Described(Struct):
    """What all kinds of objects say of themselves."""

    id: str
    purpose: str = ""
    expires_at: int | str | None = None
    """Seconds since 1970, or a date in Anthropic's dialect."""

    @property
    def expires_ns(self) -> int:
        """0: never."""
        if not isinstance(self.expires_at, str):
            return (self.expires_at or 0) * 1_000_000_000
        try:
            return int(datetime.fromisoformat(self.expires_at).timestamp()) * 1_000_000_000
        except ValueError:
            return 0


_decode_described = msgspec.json.Decoder(Described).decode


def read_described(body: bytes) -> Described:
    """Raises UnreadableRequest: 502."""
    try:
        return _decode_described(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"The provider's answer cannot be read: {error}."
        raise UnreadableRequest(Problem(status=502, code="upstream_error", message=message)) from error


def entry_of(
    call: ObjectCall, kind: Kind, body: bytes, place: Place, details: bytes, *, model: str = "", purpose: str = ""
) -> Owned:
    """Of an object as its provider described it. Raises UnreadableRequest: 502."""
    described = read_described(body)
    return Owned(
        kind=kind,
        id=described.id,
        owner=call.consumer.name,
        provider=place.provider,
        credential=place.credential,
        created_ns=call.record.time_ns,
        expires_ns=described.expires_ns,
        model=model,
        purpose=described.purpose or purpose,
        details=details,
    )


def make_room(call: ObjectCall, kind: Kind) -> None:
    """Before a provider makes something. Raises UnreadableRequest: 429."""
    try:
        call.runtime.owned.make_room(call.consumer.name, kind)
    except NoRoom as error:
        raise _no_room(error) from error


def put(call: ObjectCall, one: Owned) -> None:
    """What a provider has made. Raises UnreadableRequest: 429."""
    try:
        call.runtime.owned.put(one)
    except NoRoom as error:
        raise _no_room(error) from error


def keep(call: ObjectCall, one: Owned, details: bytes) -> None:
    """Writes down what is new of an object; what cannot be is as it was."""
    if details == one.details:
        return
    try:
        call.runtime.owned.put(msgspec.structs.replace(one, details=details))
    except (NoRoom, ValueError) as error:
        call.record.notes.append(str(error)[:200])


def _no_room(error: NoRoom) -> UnreadableRequest:
    return UnreadableRequest(Problem(status=429, code="rate_limit_exceeded", message=str(error), should_retry=False))
