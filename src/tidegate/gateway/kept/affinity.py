"""What lies at one credential of an upstream: calls that name it go there, and only for the consumer that it belongs to.

Most are in the registry of owned objects, which outlives the process. Items of stored responses and sealed thoughts are
remembered in memory: one that is forgotten is as one that was never seen.
"""

import logging
from typing import Final

from tidegate.core.problem import Problem
from tidegate.core.view import Pin, Reference, View
from tidegate.decide.compiled import CompiledRoute
from tidegate.decide.route import Candidate
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.gateway.kept import kept_responses
from tidegate.gateway.kept.object_paths import noun_of
from tidegate.gateway.runtime import Runtime
from tidegate.state.makers import Maker
from tidegate.state.owned import NoRoom, Owned

_KEPT_NS: Final = 30 * 86_400 * 1_000_000_000
"""How long OpenAI keeps a response: 30 days, https://platform.openai.com/docs/guides/your-data. Containers live less."""
_BECAUSE: Final = {
    "response": "`{}` names a response that it keeps",
    "conversation": "`{}` names a conversation that it keeps",
    "vector_store": "`{}` name a vector store that it keeps",
    "container": "`{}` name a container that it keeps",
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
        try:
            view.pin = lead(runtime, owner, reference, view.pin)
        except UnreadableRequest as error:
            return error.problem
        if reference.kind in ("sealed", "thought"):
            sealed = sealed or _reachable(runtime, owner, view.model, reference, _maker(runtime, owner, reference))
    if view.pin is None:
        view.pin = sealed
    return None


def lead(runtime: Runtime, owner: str, reference: Reference, pin: Pin | None) -> Pin | None:
    """Where a call goes that goes to `pin` so far and names `reference` too; sealed thoughts do not say.

    Raises UnreadableRequest: 404 for what is not there or another's, 400 for what lies elsewhere.
    """
    if reference.kind == "thought" and _is_anothers(runtime, owner, reference):
        raise UnreadableRequest(_not_found(reference))
    if reference.kind in ("sealed", "thought"):
        return pin
    maker = _maker(runtime, owner, reference)
    if maker is None:
        if runtime.compiled.alone or _is_granted(runtime, owner, reference):
            return pin
        raise UnreadableRequest(_not_found(reference))
    found = _pin(reference, maker)
    if pin is not None and (pin.provider, pin.credential) != (found.provider, found.credential):
        raise UnreadableRequest(_apart(pin, found))
    return pin or found


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
        if kind in ("item", "sealed"):
            runtime.makers.note(name, Maker(provider, credential, owner))
            continue
        if kind == "response" and view.background:
            view.about = name
        if kind == "container" and runtime.owned.find(owner, kind, name) is not None:
            continue
        one = Owned(
            kind=kind,
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
            log.warning("a %s will not be found again: %s", kind, error)
    view.left = ()


def _maker(runtime: Runtime, owner: str, reference: Reference) -> Maker | None:
    if reference.kind == "prompt":
        return None  # none is made here
    if reference.kind in ("item", "thought", "sealed"):
        maker = runtime.makers.find(reference.name)
        return None if maker is not None and maker.owner != owner and reference.kind != "sealed" else maker
    found = runtime.owned.find(owner, reference.kind, reference.name)
    return None if found is None else Maker(found.provider, found.credential, owner)


def _is_granted(runtime: Runtime, owner: str, reference: Reference) -> bool:
    consumer = runtime.compiled.consumer(owner)
    return consumer is not None and reference.name in consumer.shared_objects


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


def _apart(pin: Pin, other: Pin) -> Problem:
    credentials = " with another credential" if pin.provider == other.provider else ""
    message = (
        f"This leads to {pin.provider} ({pin.because}) and to {other.provider}{credentials} ({other.because}), and no "
        "upstream has both: make one of them again where the other is."
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
    if reference.kind == "item":
        message = f"Item with id '{name}' not found: none of this name is known of this key. Send the item itself."
    elif reference.kind == "thought":
        message = f"Item with id '{name}' not found."
    else:
        message = (
            f"There is no {noun_of(reference.kind)} `{name}` of this key here: `{reference.field}` may name what this key "
            "has made through this gateway, and what its Team grants (`sharedObjects`)."
        )
    return Problem(status=404, code="not_found", message=message, field=reference.field)
