"""Dialects whose providers keep files and batches: where those are at a provider.

Sources: the `files`, `batches` and `messages.batches` resources of the official SDKs; for Azure
https://learn.microsoft.com/azure/ai-services/openai/how-to/batch.
"""

from collections.abc import Callable, Mapping
from typing import Final


def _openai(base_path: str, api_version: str | None, path: str) -> str:
    return base_path + path


def _azure(base_path: str, api_version: str | None, path: str) -> str:
    root = base_path.removesuffix("/openai/v1").removesuffix("/openai")
    if api_version is None:
        return f"{root}/openai/v1{path}"
    return f"{root}/openai{path}{'&' if '?' in path else '?'}api-version={api_version}"


def _anthropic(base_path: str, api_version: str | None, path: str) -> str:
    root = base_path if base_path.endswith("/v1") else base_path + "/v1"
    return root + path


KEEPERS: Final[Mapping[str, Callable[[str, str | None, str], str]]] = {
    "openai": _openai,
    "azure-openai": _azure,
    "anthropic": _anthropic,
}
"""A provider's dialect → (its base path, its API version, `/files/…` or `/messages/batches/…`) → path and query."""

_OPENAI_KEEPERS: Final = frozenset(("openai", "azure-openai"))
_ANTHROPIC_KEEPERS: Final = frozenset(("anthropic",))


def keepers(client: str) -> frozenset[str]:
    """The dialects of providers that keep what clients of the dialect `client` make: files, batches, and the like."""
    return _ANTHROPIC_KEEPERS if client == "anthropic" else _OPENAI_KEEPERS
