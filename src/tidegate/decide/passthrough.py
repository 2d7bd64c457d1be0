"""May this consumer call any path of a provider, and what must it claim for it?

Where the path is one that the dialect knows, a call can be held to a hard budget as any other. Elsewhere nothing says
what it may cost, and a hard budget closes it; what only reads (GET, DELETE) costs nothing at any provider.
"""

from tidegate.core.claims import Claims
from tidegate.core.problem import Problem
from tidegate.core.view import View
from tidegate.decide.admit import Admission, tier_held, unpriced_tier, worst_money
from tidegate.decide.compiled import Account, CompiledConsumer, CompiledRoute
from tidegate.decide.searching import worst_search


def no_account(provider: str, consumer: CompiledConsumer) -> Problem:
    """404, alike for a provider that is not there and for one that is not this consumer's."""
    shown = ", ".join(sorted(consumer.passthrough)[:8]) or "none"
    return Problem(
        status=404,
        code="not_found",
        message=f"There is no provider `{provider[:100]}` that this key may call all paths of. It may: {shown}. "
        "The operator grants it by `passthrough` of the Team.",
    )


def admit_passthrough(
    view: View, consumer: CompiledConsumer, account: Account, *, bounded: bool, reads: bool
) -> Admission | Problem:
    """`bounded`: the path is the dialect's, so that the view says how much may be used."""
    route = account.route(view.model, reads=reads)
    if consumer.hard_budget and not reads:
        problem = _not_held(view, route, bounded=bounded, provider=account.provider.name)
        if problem is not None:
            return problem
    search = None if reads or view.searches is None else worst_search(view, route, hard_budget=consumer.hard_budget)
    if search is not None and not isinstance(search, Problem) and search.cap is not None:
        search = _unbounded_search()
    if isinstance(search, Problem):
        return search
    tokens = 0 if reads else view.estimated_input_tokens + (view.max_output_tokens or 0)
    money = 0
    if not reads and route.priced:
        money = worst_money(view, route, (view.max_output_tokens or 0) if bounded else 0, search)
    buckets, kinds = consumer.buckets_of[""]
    by_kind = {"requests": 1, "concurrency": 1, "tokens": tokens, "money": money}
    claims = Claims(buckets, [by_kind[kind] for kind in kinds])
    return Admission(route, claims, consumer.hard_budget, None, tokens)


def _not_held(view: View, route: CompiledRoute, *, bounded: bool, provider: str) -> Problem | None:
    """Why a call cannot be held to a hard budget."""
    remedy = "Call the model by its public name, or ask the operator for a soft budget."
    if not bounded:
        message = f"Nothing says what this call of provider `{provider}` may cost, and this key has a hard budget. "
        return Problem(status=403, code="unpriced_model", message=message + remedy)
    if not route.priced:
        message = f"`{view.model[:100]}` is no target with a price, and this key has a hard budget. "
        return Problem(status=403, code="unpriced_model", message=message + remedy, field="model")
    if view.tier and not tier_held(view.tier, route):
        return unpriced_tier(view)
    if view.max_output_tokens is None:
        message = (
            "Nothing bounds this call's answer, and this key has a hard budget. A request that is passed through "
            "is not changed: set the bound on its output tokens yourself."
        )
        return Problem(status=400, code="invalid_request", message=message, field="max_tokens")
    return None


def _unbounded_search() -> Problem:
    message = (
        "Nothing bounds this call's searches, and this key has a hard budget. A request that is passed through is not "
        "changed: set `max_tool_calls`, or the tool's `max_uses`, yourself."
    )
    return Problem(status=400, code="invalid_request", message=message, field="tools")
