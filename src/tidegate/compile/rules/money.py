"""Budgets and prices."""

from collections.abc import Iterator

from tidegate.compile.rules.rule import Hit, Subject
from tidegate.config.consumer import Consumer
from tidegate.config.finding import Path
from tidegate.config.limits import Budget
from tidegate.config.model import Model, ModelPrice
from tidegate.config.resources import Resources
from tidegate.config.team import Team
from tidegate.core.money import nano_from_usd, usd_from_nano
from tidegate.decide.compiled import DEFAULT_MAX_OUTPUT
from tidegate.decide.cost import dearest_output, worst_cost_nano

Owner = Team | Consumer
_UNMETERED = frozenset(("image", "speech", "transcription"))
"""Tasks whose requests cannot bound the answer."""
_ANSWERED_IN_TOKENS = _UNMETERED | {"chat", "realtime"}
"""Tasks whose answers cost tokens of their own."""


def _owners(resources: Resources) -> Iterator[Owner]:
    yield from resources.teams
    yield from resources.consumers


def _budgets(subject: Subject, owner: Owner) -> Iterator[tuple[Budget, Path]]:
    """Each with its path: a single budget may be written without brackets."""
    bare = subject.resources.written(owner, ("spec", "budget", "usd"))
    for index, budget in enumerate(owner.spec.budget):
        yield budget, ("spec", "budget") if bare else ("spec", "budget", index)


def _callable(subject: Subject, owner: Owner) -> list[str]:
    """Models that spend from the owner's budgets."""
    if isinstance(owner, Consumer):
        return sorted(subject.access.callable_by[owner.metadata.name])
    members = [one.metadata.name for one in subject.resources.consumers if one.spec.team == owner.metadata.name]
    return sorted({name for member in members for name in subject.access.callable_by[member]})


def budget_of_zero(subject: Subject) -> Iterator[Hit]:
    """A hard budget of 0 USD refuses every call."""
    for owner in _owners(subject.resources):
        for budget, path in _budgets(subject, owner):
            if budget.usd == 0 and not budget.soft:
                hint = "To bar calls, take the Models or the keys away; to lift the budget, remove it."
                yield Hit(owner, (*path, "usd"), "a budget of 0 USD refuses every call", hint)


def budgets_of_one_period(subject: Subject) -> Iterator[Hit]:
    """Two budgets of one owner have the same period."""
    for owner in _owners(subject.resources):
        seen: set[str] = set()
        for budget, path in _budgets(subject, owner):
            if budget.period in seen:
                yield Hit(owner, (*path, "period"), f"a second budget per {budget.period}", "Keep the smaller one.")
            seen.add(budget.period)


def _call_cost(subject: Subject, model: str) -> int | None:
    """What a call of `model` that sets no bound reserves at least, in nano-USD; None: no price is known.

    As admission reckons: at the dearest price of all its targets and those of its fallbacks.
    """
    prices = [price for name in _with_fallbacks(subject, model) for price in subject.prices[name] if price is not None]
    if not prices:
        return None
    spec = subject.models[model].spec
    output = (spec.max_output_tokens or DEFAULT_MAX_OUTPUT) if spec.task in _ANSWERED_IN_TOKENS else 0
    per_request = max(price.per_request_nano for price in prices)
    return worst_cost_nano(0, output, 0, max(map(dearest_output, prices)), per_request)


def _with_fallbacks(subject: Subject, model: str) -> list[str]:
    """The Model and every one that a call of it can fall back to."""
    names = [model]
    for name in names:
        fallbacks = subject.models[name].spec.routing.fallbacks
        names.extend(one for one in fallbacks if one in subject.models and one not in names)
    return names


def _too_dear(subject: Subject, owner: Owner, budget: Budget) -> list[tuple[str, int]]:
    """(model, cost) of those whose single call does not fit."""
    costs = ((name, _call_cost(subject, name)) for name in _callable(subject, owner))
    limit = nano_from_usd(budget.usd)
    return [(name, cost) for name, cost in costs if cost is not None and cost > limit]


def budget_under_any_call(subject: Subject) -> Iterator[Hit]:
    """A hard budget is under the worst case of a single call of every Model it is for, so it refuses them all."""
    for owner in _owners(subject.resources):
        for budget, path in _budgets(subject, owner):
            dear = _too_dear(subject, owner, budget)
            if budget.soft or not budget.usd or not dear or len(dear) < len(_callable(subject, owner)):
                continue
            name, cost = min(dear, key=lambda one: one[1])
            most = usd_from_nano(cost)
            message = f"{budget.usd} USD are under the worst case of a single call: `{name}` reserves {most} USD"
            yield Hit(owner, (*path, "usd"), message, "Raise it, or lower the Models' `maxOutputTokens`.")


def budget_under_one_call(subject: Subject) -> Iterator[Hit]:
    """A hard budget is under the worst case of a single call of one of its Models."""
    for owner in _owners(subject.resources):
        for budget, path in _budgets(subject, owner):
            dear = _too_dear(subject, owner, budget)
            if budget.soft or not dear or len(dear) == len(_callable(subject, owner)):
                continue
            name, cost = max(dear, key=lambda one: one[1])
            message = (
                f"a call of `{name}` that sets no bound reserves {usd_from_nano(cost)} USD, more than {budget.usd}"
            )
            yield Hit(owner, (*path, "usd"), message, f"Raise it, or lower `maxOutputTokens` of `{name}`.")


def budget_above_team(subject: Subject) -> Iterator[Hit]:
    """A consumer's budget is above the one that its whole team shares for the same period."""
    for consumer in subject.resources.consumers:
        team = subject.access.teams.get(consumer.spec.team)
        shared = {one.period: one.usd for one in (team.spec.budget if team is not None else ()) if not one.soft}
        for budget, path in _budgets(subject, consumer):
            if budget.usd > shared.get(budget.period, budget.usd):
                message = (
                    f"{budget.usd} USD per {budget.period} can never be spent: the Team `{consumer.spec.team}` shares "
                    f"{shared[budget.period]}"
                )
                yield Hit(consumer, (*path, "usd"), message, "Lower it, or raise the team's.")


def _unpriced(subject: Subject) -> Iterator[tuple[Model, int, bool]]:
    """(Model, target without a known price, whether nobody can use it), where somebody with a hard budget cannot."""
    bound = {one.metadata.name for one in subject.resources.consumers if _has_hard_budget(subject, one)}
    for name, model in subject.models.items():
        callers = {caller for caller, names in subject.access.callable_by.items() if name in names}
        prices = subject.prices[name]
        for index, price in enumerate(prices):
            if price is None and callers & bound:
                yield model, index, callers <= bound or not any(prices)


def _has_hard_budget(subject: Subject, consumer: Consumer) -> bool:
    team = subject.access.teams.get(consumer.spec.team)
    budgets = (*consumer.spec.budget, *(team.spec.budget if team is not None else ()))
    return any(not budget.soft for budget in budgets)


def unpriced_under_hard_budget(subject: Subject) -> Iterator[Hit]:
    """A target without a known price can never serve: its calls could not be held to its callers' hard budgets."""
    for model, index, by_nobody in _unpriced(subject):
        if by_nobody:
            message = "no price is known of this target, so it serves nobody who has a hard budget, as its callers have"
            hint = "Add a `price` here or to the Model, or make the budgets `soft: true`."
            yield Hit(model, ("spec", "targets", index), message, hint)


def unpriced_for_some(subject: Subject) -> Iterator[Hit]:
    """A target without a known price is passed over for those of its callers who have a hard budget."""
    for model, index, by_nobody in _unpriced(subject):
        if not by_nobody:
            message = "no price is known of this target, so it is passed over for callers who have a hard budget"
            yield Hit(model, ("spec", "targets", index), message, "Add a `price` here or to the Model.")


def unbounded_under_hard_budget(subject: Subject) -> Iterator[Hit]:
    """A Model for images, speech or transcription is closed to callers with a hard budget: nothing bounds its answers."""
    bound = {one.metadata.name for one in subject.resources.consumers if _has_hard_budget(subject, one)}
    for name, model in subject.models.items():
        if model.spec.task not in _UNMETERED or model.spec.max_output_tokens is not None:
            continue
        callers = {caller for caller, names in subject.access.callable_by.items() if name in names}
        if callers & bound and any(price is not None and dearest_output(price) for price in subject.prices[name]):
            message = "nothing bounds the tokens of an answer, so it is closed to callers who have a hard budget"
            hint = "Set `maxOutputTokens` to what one answer has at most, or a price by the image, hour or character."
            yield Hit(model, ("spec",), message, hint)


def incomplete_price(subject: Subject) -> Iterator[Hit]:
    """A price for chat, images, speech or transcription says nothing of output tokens."""
    for model in subject.resources.models:
        if model.spec.task not in _ANSWERED_IN_TOKENS:
            continue
        prices: list[tuple[ModelPrice | None, Path]] = [(model.spec.price, ("spec", "price"))]
        for index, target in enumerate(model.spec.targets):
            prices.append((target.price, ("spec", "targets", index, "price")))
        for price, path in prices:
            if price is not None and price.input_per_million is not None and price.output_per_million is None:
                yield Hit(model, path, "`outputPerMillion` is missing", "Add it; write 0 if output is free.")
