"""The dialects that this version speaks, by the name used in `Provider.spec.dialect`, and how any two of them meet."""

from collections.abc import Mapping
from functools import cache
from typing import Final

from tidegate.core.view import Operation
from tidegate.dialects.dialect import Dialect, Relay
from tidegate.dialects.mistral import Mistral
from tidegate.dialects.openai import AzureOpenAI, OpenAI
from tidegate.dialects.translation import Translation

DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": OpenAI(),
    "azure-openai": AzureOpenAI(),
    "mistral": Mistral(),
}


@cache
def relay_between(client: str, upstream: str, operation: Operation) -> Relay | None:
    """How a call of dialect `client` is served by a provider of dialect `upstream`; None where it cannot be."""
    asking, serving = DIALECTS[client], DIALECTS[upstream]
    if asking.family == serving.family:
        return serving
    if operation == "chat" and asking.chat is not None and serving.chat is not None:
        return Translation(asking, asking.chat, serving, serving.chat)
    return None


def native(client: str, upstream: str) -> bool:
    """Whether bodies pass between the two without translation."""
    return DIALECTS[client].family == DIALECTS[upstream].family
