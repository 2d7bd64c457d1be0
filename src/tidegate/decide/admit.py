"""May this consumer make this call, and what must it claim? Pure: counters are `state`'s business."""

from datetime import UTC, datetime

from msgspec import Struct

from tidegate.core.claims import Bucket, Claims, Refusal
from tidegate.core.money import usd_from_nano
from tidegate.core.problem import Problem
from tidegate.core.snapshot import EndpointRule
from tidegate.core.view import FREE, UNMETERED, View
from tidegate.decide.compiled import Compiled, CompiledConsumer, CompiledRoute
from tidegate.decide.cost import tier_priced, worst_cost_nano, worst_units_nano
from tidegate.decide.searching import WorstSearch, worst_search
from tidegate.dialects.service_tiers import TIER_FIELDS


class Admission(Struct):
    """What the call may do, and what it has to claim for it."""

    route: CompiledRoute
    claims: Claims
    hard_budget: bool
    """A hard budget is in scope: targets without a price are out."""
    output_cap: int | None
    """A bound on the output to set upstream where the client set none, so that the reservation holds."""
    needed_tokens: int
    """Estimated input plus the client's output bound: what a context window must hold."""
    rule: EndpointRule | None = None
    """The endpoint rule that moved this call."""
    search_cap: int | None = None
    """A bound on hosted searches to set upstream where the client set none, likewise."""


_TASKS = {
    "chat": "chat",
    "completion": "chat",
    "embedding": "embedding",
    "moderation": "moderation",
    "inference": "inference",
    "prediction": "inference",
    "generation": "inference",
    "description": "inference",
    "token_count": "chat",
    "compaction": "chat",
    "response_read": "chat",
    "response_input": "chat",
    "response_cancel": "chat",
    "response_delete": "chat",
    "rerank": "rerank",
    "image": "image",
    "image_edit": "image",
    "image_variation": "image",
    "speech": "speech",
    "transcription": "transcription",
    "translation": "transcription",
    "realtime": "realtime",
}


def admit(view: View, consumer: CompiledConsumer, compiled: Compiled, region: str | None) -> Admission | Problem:
    """`region`: the consumer's, else what the request says."""
    if view.model not in consumer.models:
        return _not_allowed(view.model, consumer, known=view.model in compiled.routes)
    route = compiled.routes[view.model]
    rule = _rule(consumer, region)
    if rule is not None and rule.model is not None:
        route = compiled.routes[rule.model]
    if route.spec.task != _TASKS[view.operation]:
        return Problem(
            status=400,
            code="invalid_request",
            message=f"Model `{view.model}` serves {route.spec.task}, not {view.operation}: choose another model.",
            field="model",
        )
    unmetered = view.operation in UNMETERED
    cap = None
    if consumer.hard_budget:
        if not route.priced:
            return _unpriced(view.model)
        if unmetered and not _bounded(route):
            return _unbounded(view.model)
        if view.max_output_tokens is None and not unmetered:
            # What is reserved must hold; where an answer costs nothing, its length is the operator's business alone.
            cap = route.max_output if route.dearest_output else route.spec.max_output_tokens
    if view.tier and consumer.hard_budget and not tier_held(view.tier, route):
        return unpriced_tier(view)
    search = None if view.searches is None else worst_search(view, route, hard_budget=consumer.hard_budget)
    if isinstance(search, Problem):
        return search
    money = worst_money(view, route, _worst_output(view, route), search)
    tokens = view.estimated_input_tokens + (view.max_output_tokens or 0)
    if view.operation in FREE:
        money = tokens = 0
    buckets, kinds = consumer.buckets_of.get(view.model) or consumer.buckets_of[""]
    by_kind = {"requests": 1, "concurrency": 1, "tokens": tokens, "money": money}
    claims = Claims(buckets, list(map(by_kind.__getitem__, kinds)))
    search_cap = None if search is None else search.cap
    return Admission(route, claims, consumer.hard_budget, cap, tokens, rule, search_cap)


def worst_money(view: View, route: CompiledRoute, output_tokens: int, search: WorstSearch | None) -> int:
    """Nano-USD: never below what a call within its bounds can cost at any target of the route."""
    input_tokens = max(view.worst_input_tokens, route.context) if view.hidden_context else view.worst_input_tokens
    if search is not None:
        input_tokens = max(input_tokens, search.input_tokens)
    money = worst_cost_nano(
        input_tokens,
        output_tokens,
        route.dearest_input,
        route.dearest_output,
        route.per_request_nano * view.requests,
    )
    if view.units is not None:
        money += max((worst_units_nano(view.units, price) for price in route.unit_prices), default=0)
    return money if search is None else money + search.nano


def _bounded(route: CompiledRoute) -> bool:
    """Of operations without a bound in their requests: the operator has said what an answer has at most, or it is free."""
    return not route.dearest_output or all(one.spec.max_output_tokens for one in (route, *route.fallbacks))


def tier_held(tier: str, route: CompiledRoute) -> bool:
    """Some target has a price of the service tier: the others are passed over."""
    targets = (target for one in (route, *route.fallbacks) for target in one.targets)
    return any(target.spec.price is not None and tier_priced(tier, target.spec.price) for target in targets)


def _worst_output(view: View, route: CompiledRoute) -> int:
    if view.max_output_tokens is not None:
        return view.max_output_tokens
    if view.operation in UNMETERED:
        # Nothing can be set upstream, so a fallback with a larger bound of its own may use that.
        return view.requests * max(one.max_output for one in (route, *route.fallbacks))
    return route.max_output * view.choices


def refusal_problem(refusal: Refusal, now_ns: int) -> Problem:
    """429, saying which bucket, its limit, what is used, and when to come back."""
    bucket = refusal.bucket
    wait = max(0.0, (refusal.resets_at_ns - now_ns) / 1e9)
    at = datetime.fromtimestamp(refusal.resets_at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if bucket.kind == "money":
        message = (
            f"Budget `{bucket.key}` would be exceeded: {usd_from_nano(bucket.limit)} USD per {bucket.window.period}, "
            f"{usd_from_nano(refusal.used)} USD spent or reserved, and this call may cost up to "
            f"{usd_from_nano(refusal.amount)} USD. It resets at {at}. "
            "Lower max_completion_tokens, choose a cheaper model, or ask for a larger budget."
        )
        return _bucket_problem(refusal, "budget_exceeded", message, None, should_retry=False)
    if refusal.never_fits:
        message = (
            f"This call needs {refusal.amount} {bucket.kind}, more than all of limit `{bucket.key}` ({bucket.limit}). "
            "It never fits: send less, or ask for a higher limit."
        )
        return _bucket_problem(refusal, "rate_limit_exceeded", message, None, should_retry=False)
    unit = "calls in flight" if bucket.kind == "concurrency" else bucket.kind
    message = (
        f"Limit `{bucket.key}` reached: {bucket.limit} {unit}{_span(bucket)}, {refusal.used} used, "
        f"{refusal.amount} asked. Try again in {max(1, round(wait))} s."
    )
    return _bucket_problem(refusal, "rate_limit_exceeded", message, max(wait, 0.001), should_retry=None)


def _bucket_problem(
    refusal: Refusal, code: str, message: str, retry_after: float | None, *, should_retry: bool | None
) -> Problem:
    bucket: Bucket = refusal.bucket
    return Problem(
        status=429,
        code=code,
        message=message,
        retry_after_seconds=retry_after,
        should_retry=should_retry,
        bucket=bucket.key,
        limit=bucket.limit,
        used=refusal.used,
        resets_at_ns=refusal.resets_at_ns,
    )


def _span(bucket: Bucket) -> str:
    return f" in any {bucket.window.seconds} s" if bucket.window.seconds else ""


def _rule(consumer: CompiledConsumer, region: str | None) -> EndpointRule | None:
    if region is None:
        return None
    asked = region.casefold()
    return next((rule for rule in consumer.endpoint_rules if rule.region.casefold() == asked), None)


def _not_allowed(model: str, consumer: CompiledConsumer, *, known: bool) -> Problem:
    shown = ", ".join(sorted(consumer.models)[:8]) or "none"
    if known:
        message = f"This key may not call model `{model}`. It may call: {shown}."
        return Problem(status=403, code="model_not_allowed", message=message, field="model")
    message = f"There is no model `{model[:100]}` here. This key may call: {shown}."
    return Problem(status=404, code="model_not_found", message=message, field="model")


def _unpriced(model: str) -> Problem:
    return Problem(
        status=403,
        code="unpriced_model",
        message=f"No target of model `{model}` has a known price, and this key has a hard budget: its cost "
        "could not be held to it. The operator can set `price` on the model.",
        field="model",
    )


def _unbounded(model: str) -> Problem:
    return Problem(
        status=403,
        code="unpriced_model",
        message=f"Nothing bounds the tokens of an answer of model `{model}`, and this key has a hard budget: its cost "
        "could not be held to it. The operator can set `maxOutputTokens` on the model and its fallbacks (what one image "
        "or recording has at most), or a price by the image, the hour, the character or the call instead of the token.",
        field="model",
    )


def unpriced_tier(view: View) -> Problem:
    """400: what it asks for has no price here."""
    return Problem(
        status=400,
        code="unsupported_field",
        message=f"No target of model `{view.model}` has a known price of service tier `{view.tier}`, and this key has a "
        "hard budget: the cost could not be held to it. Leave it out; the operator can set `tiers` in the model's price.",
        field=TIER_FIELDS.get(view.dialect, "service_tier"),
    )
