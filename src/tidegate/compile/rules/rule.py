"""What a rule sees and what it answers."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct

from tidegate.compile.access import Access, resolve_access
from tidegate.compile.prices import PriceBook, target_price
from tidegate.config.finding import Path, Severity
from tidegate.config.model import Model
from tidegate.config.provider import Provider
from tidegate.config.resources import Resource, Resources
from tidegate.core.usage import Price


class Hit(Struct, frozen=True):
    """One place that a rule objects to. `message` is what is wrong, `hint` how to mend it."""

    resource: Resource
    path: Path
    message: str
    hint: str = ""


class Subject:
    """A configuration with what follows from it, worked out once for all rules."""

    def __init__(self, resources: Resources, env: Mapping[str, str], book: PriceBook) -> None:
        self.resources = resources
        self.env = env
        self._book = book

    @cached_property
    def access(self) -> Access:
        return resolve_access(self.resources)

    @cached_property
    def providers(self) -> dict[str, Provider]:
        return {one.metadata.name: one for one in self.resources.providers}

    @cached_property
    def models(self) -> dict[str, Model]:
        return {one.metadata.name: one for one in self.resources.models}

    @cached_property
    def prices(self) -> dict[str, tuple[Price | None, ...]]:
        """Model → the price of each of its targets; None: unknown."""
        return {name: tuple(self._prices_of(model)) for name, model in self.models.items()}

    def _prices_of(self, model: Model) -> Iterator[Price | None]:
        for target in model.spec.targets:
            provider = self.providers.get(target.provider)
            entry = None if provider is None else self._book.find(provider, target.model)
            yield target_price(model, target, entry, "" if provider is None else provider.spec.dialect)


class Rule(Struct, frozen=True):
    """`find` yields a Hit for each place; the rule's name is the function's, with dashes."""

    severity: Severity
    find: Callable[[Subject], Iterator[Hit]]

    @property
    def name(self) -> str:
        return self.find.__name__.replace("_", "-")

    @property
    def description(self) -> str:
        """The function's docstring: what the rule says, in one sentence."""
        return " ".join((self.find.__doc__ or "").split())
