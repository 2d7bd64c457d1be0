"""Where a batch goes: every request in it is admitted and routed as a call of its own, and all must lead to one credential.

What the requests come to (their number, estimated tokens, worst cost) is summed up for the claim that the batch makes.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw

from tidegate.core.problem import Problem
from tidegate.core.view import FORMS, FREE, Operation, Pin, Reference
from tidegate.decide.admit import Admission, admit
from tidegate.decide.compiled import CompiledTarget
from tidegate.decide.route import Asking, Candidate, no_target_problem, pinned_elsewhere_problem, route
from tidegate.decide.searching import holds_searches
from tidegate.dialects.dialect import Dialect, Relay, UnreadableRequest
from tidegate.dialects.fields import bad_field
from tidegate.dialects.keeping import keepers
from tidegate.dialects.registry import relay_between, spoken_to
from tidegate.gateway.endpoints import EXACT, Endpoint
from tidegate.gateway.headers import header_value
from tidegate.gateway.kept.affinity import lead
from tidegate.gateway.kept.batch_plan import Plan, Share, price_in_batch
from tidegate.gateway.kept.object_call import ObjectCall
from tidegate.state.owned import MAX_DETAILS_BYTES

_MAX_MODELS: Final = 16
_MAX_PLAN_BYTES: Final = MAX_DETAILS_BYTES // 2
"""The other half is for what the provider says of the batch."""

_decode_line = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class Placing:
    """Takes the requests one by one; afterwards `pin` is where they go and `plan` what they come to."""

    def __init__(self, call: ObjectCall, endpoint: str, first_line: int = 1) -> None:
        self._call = call
        self._shares: dict[str, Share] = {}
        self._targets: dict[str, tuple[CompiledTarget, Relay]] = {}
        self._region = call.consumer.region or _region(call)
        self.endpoint = endpoint
        self._first_line = first_line
        self.pin: Pin | None = None

    @property
    def plan(self) -> Plan:
        return Plan(self.endpoint, list(self._shares.values()), self._call.consumer.hard_budget, self._first_line)

    def place(self, where: str, endpoint: Endpoint, body: bytes) -> bytes:
        """The request's body for the upstream. Raises UnreadableRequest, which names `where`."""
        try:
            return self._place(endpoint.dialect, endpoint.operation, body)
        except UnreadableRequest as error:
            problem = error.problem
            raise UnreadableRequest(
                msgspec.structs.replace(problem, message=f"{where}: {problem.message}", retry_after_seconds=None)
            ) from error

    def _place(self, dialect: Dialect, operation: Operation, body: bytes) -> bytes:
        view = dialect.read(operation, body)
        if view.stream or view.background:
            field = "stream" if view.stream else "background"
            raise bad_field(f"`{field}` must not be true in a batch.", field)
        for reference in view.refers:
            self._refer(reference)
        admission = admit(view, self._call.consumer, self._call.runtime.compiled, self._region)
        if isinstance(admission, Problem):
            raise UnreadableRequest(admission)
        found = self._targets.get(view.model)
        if found is None:
            if len(self._targets) == _MAX_MODELS:
                raise bad_field(f"A batch may name {_MAX_MODELS} models at most.", "model")
            asking = Asking(view, admission, self._call.consumer.name, self._call.runtime.turn(admission.route.name))
            asking.pin = self.pin
            found = self._targets[view.model] = self._target(dialect, operation, asking)
            spec = found[0].spec
            self._shares[view.model] = Share(view.model, spec.model, price_in_batch(spec.price))
            if len(_encode(self.plan)) > _MAX_PLAN_BYTES:
                raise bad_field(f"A batch may name {len(self._shares) - 1} models of these at most.", "model")
        target, relay = found
        if admission.hard_budget and not holds_searches(view, target):
            raise bad_field("What hosted searches cost there is unknown, and this key has a hard budget.", "tools")
        share = self._shares[view.model]
        share.requests += 1
        share.tokens += admission.needed_tokens
        share.worst_nano += _money(admission)
        view.search_cap = admission.search_cap
        return relay.encode_request(view, target.upstream, output_cap=admission.output_cap)

    def _refer(self, reference: Reference) -> None:
        """What a request names must be its consumer's, and leads where that is. Raises UnreadableRequest."""
        if reference.kind in ("response", "conversation", "item"):
            raise bad_field("A request in a batch cannot go on from what is kept: send all of it.", reference.field)
        self.pin = lead(self._call.runtime, self._call.consumer.name, reference, self.pin)

    def _target(self, dialect: Dialect, operation: Operation, asking: Asking) -> tuple[CompiledTarget, Relay]:
        runtime, to = self._call.runtime, asking.admission.route
        kept = [(one, _native(one, dialect, operation)) for one in route(asking, to, runtime.health, runtime.rng)]
        keepers = [(one, relay) for one, relay in kept if relay is not None]
        if not keepers:
            raise bad_field(
                f"No target of model `{asking.view.model}` is at a provider that takes batches of this dialect. "
                "Choose another model, or send the requests one by one.",
                "model",
            )
        candidate, relay = keepers[0]
        if candidate.excluded:
            if self.pin is not None and not any(
                one.target.has(self.pin.provider, self.pin.credential) for one, _ in keepers
            ):
                raise UnreadableRequest(pinned_elsewhere_problem(asking.view.model, self.pin))
            raise UnreadableRequest(no_target_problem(asking.view.model, [one for one, _ in keepers]))
        if self.pin is None:
            because = "the requests before it go there: send each provider's requests in a batch of their own"
            self.pin = Pin(candidate.target.provider.name, candidate.credential, because, "model")
        return candidate.target, relay


def _native(candidate: Candidate, dialect: Dialect, operation: Operation) -> Relay | None:
    """How a provider serves such requests itself; None where it does not."""
    provider = candidate.target.provider
    if provider.dialect not in keepers(dialect.name):
        return None
    serving = spoken_to(dialect.name, provider.dialect, provider.quirks, candidate.target.spec.model)
    relay = relay_between(dialect.name, serving, operation)
    return relay if relay is not None and relay.native else None


def _money(admission: Admission) -> int:
    """The worst cost, where a budget of any kind asked for it."""
    claims = admission.claims
    return next(
        (amount for bucket, amount in zip(claims.buckets, claims.amounts, strict=True) if bucket.kind == "money"), 0
    )


def _region(call: ObjectCall) -> str | None:
    return header_value(call.exchange.request.headers, b"x-tidegate-region").decode("latin-1") or None


def place_lines(call: ObjectCall, content: bytes) -> Iterator[tuple[Placing, bytes]]:
    """Each line of a batch's file as it goes upstream. Raises UnreadableRequest."""
    placing: Placing | None = None
    endpoint: Endpoint | None = None
    for number, line in _lines(content):
        where = f"Line {number} of the file"
        try:
            fields = _decode_line(line)
            url = _decode_text(fields.get("url", Raw(b'""')))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise bad_field(f"{where} is not a JSON object: {error}.", "file") from error
        if placing is None or endpoint is None:
            endpoint = _endpoint(url, where)
            placing = Placing(call, url, number)
        elif url != placing.endpoint:
            raise bad_field(f"{where}: `url` is `{url[:100]}`, and `{placing.endpoint}` in the lines before.", "file")
        body = fields.get("body")
        if body is None:
            raise bad_field(f"{where}: `body` is missing.", "file")
        fields["body"] = Raw(placing.place(where, endpoint, bytes(body)))
        # Outside of strings a carriage return is mere space, and some readers take it for the end of a line.
        yield placing, _encode(fields).replace(b"\r", b" ") + b"\n"
    if placing is None:
        raise bad_field("The file is empty: a batch needs a line for each request.", "file")


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    number = at = 0
    while at < len(content):
        end = content.find(b"\n", at)
        end = len(content) if end < 0 else end
        number += 1
        line = content[at:end].strip()
        at = end + 1
        if line:
            yield number, line


def _endpoint(url: str, where: str) -> Endpoint:
    """Azure's clients leave `/v1` out."""
    found = EXACT.get(url.encode()) or EXACT.get(b"/v1" + url.encode())
    if found is None or found.operation in FORMS | FREE or found.dialect.name not in ("openai", "openai-responses"):
        message = f"{where}: `url` is `{url[:100]}`. Batches are taken for /v1/chat/completions and its like."
        raise bad_field(message, "file")
    return found
