"""How dialects other than OpenAI's list the models that a key may call."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct


class ListedModel(Struct, frozen=True):
    name: str
    created: int
    """Unix seconds; 0: not known."""


@runtime_checkable
class ListsModels(Protocol):
    """A dialect with a shape of its own for `GET /v1/models`; the others answer in OpenAI's."""

    def model_page(self, models: Sequence[ListedModel]) -> object:
        """All of them, as one page."""
        ...

    def model_entry(self, model: ListedModel) -> object: ...
