"""What lies at one credential of an upstream: calls that name it go there, and only for the consumer that it belongs to.

Stored responses are in the registry of owned objects, which outlives the process. Items of theirs and sealed thoughts are
remembered in memory: one that is forgotten is as one that was never seen.
"""

import logging
from typing import Final

from tidegate.core.problem import Problem
from tidegate.core.view import Pin, Reference, View
from tidegate.decide.compiled import CompiledRoute
from tidegate.decide.route import Candidate
from tidegate.gateway.kept import kept_responses
from tidegate.gateway.runtime import Runtime
from tidegate.state.makers import Maker
from tidegate.state.owned import NoRoom, Owned

_KEPT_NS: Final = 30 * 86_400 * 1_000_000_000
"""How long OpenAI keeps a response: 30 days, https://platform.openai.com/docs/guides/your-data."""
_BECAUSE: Final = {
    "response": "`{}` names a response that it keeps",
    "conversation": "`{}` names a conversation that it keeps",
    "file": "`{}` names a file that it keeps",
    "message_file": "`{}` names a file that it keeps",
    "item": "`{}` names an item that it keeps",
    "thought": "`{}` names a thought that it keeps",
    "sealed": "`{}` holds thoughts that it alone can read",
}

log = logging.getLogger(__name__)


def bind(runtime: Runtime, owner: str, view: View) -> Problem | None:
    """Puts earlier turns that the gateway keeps before `view`'s own input, and pins it to who keeps the rest.

    A name that is unknown is refused, as another consumer's is: with one credential for many consumers an upstream would
    give it out. Where the configuration has one consumer, there is nobody to be kept apart.
    """
    sealed: Pin | None = None
    recalled: set[str] = set()
    if any(reference.kind == "item" for reference in view.refers):
        recalled = kept_responses.recall(runtime.answers, owner, view)
    for reference in view.refers:
        if reference.kind == "response" and kept_responses.go_on(runtime.answers, owner, view):
            continue
        if reference.kind == "item" and reference.name in recalled:
            continue
        if reference.kind == "thought" and _is_anothers(runtime, owner, reference):
            return _not_found(reference)
        maker = _maker(runtime, owner, reference)
        if reference.kind in ("sealed", "thought"):
            sealed = sealed or _reachable(runtime, owner, view.model, reference, maker)
        elif maker is not None:
            pin = _pin(reference, maker)
            if view.pin is not None and not _at_one_place(view.pin, pin):
                return _apart(view.pin, pin)
            view.pin = view.pin or pin
        elif not runtime.compiled.alone:
            return _not_found(reference)
    if view.pin is None:
        view.pin = sealed
    return None


def leads_elsewhere(runtime: Runtime, owner: str, view: View, candidate: Candidate, route: CompiledRoute) -> bool:
    """For calls that were translated: only now it shows which sealed thoughts go along. Pins the call if they say so."""
    for reference in view.refers:
        pin = _reachable(runtime, owner, route.name, reference, _maker(runtime, owner, reference))
        if pin is not None:
            view.pin = pin
            return (pin.provider, pin.credential) != (candidate.target.provider.name, candidate.credential)
    return False


def remember(runtime: Runtime, owner: str, view: View, candidate: Candidate) -> None:
    """Whose `view.left` is and who has it."""
    provider, credential = candidate.target.provider.name, candidate.credential
    for kind, name in view.left:
        if kind != "response":
            runtime.makers.note(name, Maker(provider, credential, owner))
            continue
        if view.background:
            view.about = name
        one = Owned(
            kind="response",
            id=name,
            owner=owner,
            provider=provider,
            credential=credential,
            created_ns=view.time_ns,
            expires_ns=view.time_ns + _KEPT_NS,
            model=view.model,
        )
        try:
            runtime.owned.put(one)
        except NoRoom as error:
            log.warning("a stored response will not be found again: %s", error)
    view.left = ()


def _maker(runtime: Runtime, owner: str, reference: Reference) -> Maker | None:
    if reference.kind in ("response", "conversation", "file", "message_file"):
        found = runtime.owned.find(owner, reference.kind, reference.name)
        return None if found is None else Maker(found.provider, found.credential, owner)
    maker = runtime.makers.find(reference.name)
    if maker is not None and maker.owner != owner and reference.kind != "sealed":
        return None
    return maker


def _is_anothers(runtime: Runtime, owner: str, reference: Reference) -> bool:
    maker = runtime.makers.find(reference.name)
    return maker is not None and maker.owner != owner


def _reachable(runtime: Runtime, owner: str, model: str, reference: Reference, maker: Maker | None) -> Pin | None:
    """None where no target of the model could take it: thoughts of another model's are left to the upstream or the hub."""
    route = runtime.compiled.routes.get(model)
    if maker is None or route is None:
        return None
    targets = (target for one in (route, *route.fallbacks) for target in one.targets)
    if not any(target.has(maker.provider, maker.credential) for target in targets):
        return None
    return _pin(reference, maker)


def _pin(reference: Reference, maker: Maker) -> Pin:
    because = _BECAUSE[reference.kind].format(reference.field)
    return Pin(maker.provider, maker.credential, because, reference.field)


def _at_one_place(pin: Pin, other: Pin) -> bool:
    return (pin.provider, pin.credential) == (other.provider, other.credential)


def _apart(pin: Pin, other: Pin) -> Problem:
    where = f"at {pin.provider}, " + (
        f"the other at {other.provider}" if other.provider != pin.provider else "each with another credential of it"
    )
    fields = f"`{pin.field}`" if pin.field == other.field else f"`{pin.field}` and `{other.field}`"
    message = (
        f"{fields}: two things are named that lie apart, one {where}, and no upstream has both. Make one of them again "
        "where the other is."
    )
    return Problem(status=400, code="invalid_request", message=message, field=other.field)


def _not_found(reference: Reference) -> Problem:
    name = reference.name[:100]
    if reference.kind == "response":
        return Problem(
            status=400,
            code="previous_response_not_found",
            message=f"Previous response with id '{name}' not found: none of this name is kept for this key, or any more. "
            "Send the whole conversation as `input`.",
            field=reference.field,
        )
    if reference.kind in ("file", "message_file"):
        message = f"There is no file `{name}` of this key here. Upload it through this gateway first."
    elif reference.kind == "conversation":
        message = (
            f"Conversation with id '{name}' not found: conversations are not made here. Use `previous_response_id`."
        )
    else:
        message = f"Item with id '{name}' not found: none of this name is known of this key. Send the item itself."
    return Problem(status=404, code="not_found", message=message, field=reference.field)
