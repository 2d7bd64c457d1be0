"""The dialects that this version speaks, by the name used in `Provider.spec.dialect`."""

from collections.abc import Mapping
from typing import Final

from tidegate.dialects.dialect import Dialect
from tidegate.dialects.openai import AzureOpenAI, OpenAI

DIALECTS: Final[Mapping[str, Dialect]] = {"openai": OpenAI(), "azure-openai": AzureOpenAI()}
