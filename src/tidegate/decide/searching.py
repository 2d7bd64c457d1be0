"""What hosted searches may add to the worst case of a call: their own price, and the input that is read again after each."""

from collections.abc import Iterator

from msgspec import Struct

from tidegate.core.problem import Problem
from tidegate.core.usage import Price, UnitRates
from tidegate.core.view import HostedSearch, View
from tidegate.decide.compiled import CompiledRoute, CompiledTarget
from tidegate.decide.cost import by_request_alone
from tidegate.dialects.model_rules import searches_by_prompt
from tidegate.dialects.registry import DIALECTS, spoken_to

DEFAULT_MAX_SEARCHES = 5
"""Reserved, and under a hard budget set upstream, where neither the client nor the Model says how many there may be."""


class WorstSearch(Struct, frozen=True):
    """At the dearest target that would search."""

    input_tokens: int
    nano: int
    cap: int | None
    """A bound to set upstream, for want of the client's own."""


def worst_search(view: View, route: CompiledRoute, *, hard_budget: bool) -> WorstSearch | Problem | None:
    """None where no target of the route searches: a translated call leaves hosted tools out, or is refused."""
    asked = view.searches
    targets = [] if asked is None else list(_searching(view, route))
    if asked is None or not targets:
        return None
    if hard_budget:
        problem = _not_held(view, asked, route, targets)
        if problem is not None:
            return problem
    given = route.spec.max_searches or DEFAULT_MAX_SEARCHES
    most = given if asked.most is None else asked.most
    counts = [1 if searches_by_prompt(target.spec.model) else most for target in targets]
    nano = max(count * _dearest(asked, target.spec.price) for count, target in zip(counts, targets, strict=True))
    cap = given if hard_budget and asked.most is None and asked.boundable else None
    return WorstSearch(route.context * (max(counts) + 1), nano, cap)


def searches_at(view: View, target: CompiledTarget) -> bool:
    """Whether the hosted tools of a call go along to `target`: where it is not translated."""
    if view.operation == "passthrough":
        return True
    provider = target.provider
    serving = spoken_to(view.dialect, provider.dialect, provider.quirks, target.spec.model)
    return serving.family == DIALECTS[view.dialect].family


def holds_searches(view: View, target: CompiledTarget) -> bool:
    """Whether it is known what the searches of a call at `target` cost; there may be none."""
    asked = view.searches
    return asked is None or searches_priced(asked, target.spec.price) or not searches_at(view, target)


def searches_priced(asked: HostedSearch, price: Price | None) -> bool:
    """What these searches cost there is known."""
    if price is None or by_request_alone(price):
        return price is not None
    rates = price.units or UnitRates()
    return not ((asked.web and rates.web_search is None) or (asked.files and rates.file_search is None))


def _searching(view: View, route: CompiledRoute) -> Iterator[CompiledTarget]:
    for one in (route, *route.fallbacks):
        yield from (target for target in one.targets if searches_at(view, target))


def _dearest(asked: HostedSearch, price: Price | None) -> int:
    """Nano-USD of one search: a bound is on all kinds together."""
    rates = UnitRates() if price is None or price.units is None else price.units
    return max((rates.web_search or 0) if asked.web else 0, (rates.file_search or 0) if asked.files else 0)


def _not_held(view: View, asked: HostedSearch, route: CompiledRoute, targets: list[CompiledTarget]) -> Problem | None:
    """Why a call that may search cannot be held to a hard budget."""
    all_targets = sum(len(one.targets) for one in (route, *route.fallbacks))
    if len(targets) == all_targets and not any(searches_priced(asked, one.spec.price) for one in targets):
        kind = "`perWebSearch`" if asked.web else "`perFileSearch`"
        if asked.web and asked.files:
            kind += " and `perFileSearch`"
        message = (
            f"No target of model `{view.model}` has a known price of hosted searches, and this key has a hard budget: "
            f"their cost could not be held to it. Leave the tool out; the operator can set {kind} in the model's price."
        )
        return Problem(status=403, code="unpriced_model", message=message, field="tools")
    if asked.boundable or asked.most is not None or route.spec.max_searches is not None:
        return None
    if all(searches_by_prompt(one.spec.model) for one in targets):
        return None
    message = (
        f"Nothing bounds how often model `{view.model}` searches, and this key has a hard budget: the cost could not be "
        "held to it. Leave the tool out; the operator can set `maxSearches` on the model to what is reserved for it."
    )
    return Problem(status=403, code="unpriced_model", message=message, field="tools")
