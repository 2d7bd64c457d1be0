"""Where what a consumer makes at a provider is put: where what it names lies, else where the model is that will read it."""

from hashlib import blake2b
from typing import Final

from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.dialects.dialect import UnreadableRequest
from tidegate.dialects.fields import bad_field
from tidegate.dialects.keeping import keepers
from tidegate.dialects.registry import serves_responses
from tidegate.gateway.kept.object_call import ObjectCall

MODEL_HEADER: Final = b"x-tidegate-model"


class Spot(Struct, frozen=True):
    """Is a Place."""

    provider: str
    credential: str


def free_spot(call: ObjectCall) -> Spot:
    """Of something that names no model. Raises UnreadableRequest."""
    consumer, routes = call.consumer, call.runtime.compiled.routes
    kept_by = keepers(call.asked.dialect.name)
    asked = (call.exchange.request.header(MODEL_HEADER) or b"").decode(errors="replace")
    if asked and asked not in consumer.models:
        message = f"`{MODEL_HEADER.decode()}` names `{asked[:100]}`, which is no model of this key."
        raise UnreadableRequest(Problem(status=404, code="model_not_found", message=message, field="model"))
    names = [asked] if asked else sorted(consumer.models)
    targets = [target for name in names for target in routes[name].targets if target.provider.dialect in kept_by]
    if call.asked.kind == "conversation":
        targets = [target for target in targets if serves_responses(target.provider.quirks)]
    providers = {target.provider.name: target.provider for target in targets}
    if asked and targets:
        first = min(targets, key=lambda one: one.spec.priority).provider
        providers = {first.name: first}
    if len(providers) != 1:
        which = (
            "None of this key's models is" if not providers else "Models of this key are at several providers, or not"
        )
        message = (
            f"{which if not asked else f'Model `{asked}` is not'} at a provider that keeps "
            f"{call.asked.noun}s: send the header "
            f"`{MODEL_HEADER.decode()}` with the name of the model that will read it."
        )
        raise bad_field(message, MODEL_HEADER.decode())
    (provider,) = providers.values()
    health = call.runtime.health
    free = [one for one in provider.credentials if not health.benched_for((provider.name, one.id))]
    # Always the same of several, so that a request can name two of a consumer's files.
    chosen = max(free or provider.credentials, key=lambda one: blake2b(f"{consumer.name}/{one.id}".encode()).digest())
    return Spot(provider.name, chosen.id)
