"""All that can be said of a configuration without running it."""

from collections.abc import Mapping
from pathlib import Path

from tidegate.compile.price_book import GenaiPrices
from tidegate.compile.prices import PriceBook
from tidegate.compile.rules import lint
from tidegate.config import ConfigErrors, Finding, load
from tidegate.core.clock import SystemClock


def check(path: Path, env: Mapping[str, str], *, price_book: PriceBook | None = None) -> list[Finding]:
    """Findings in reading order: of the loader if it has any, else of the lint rules."""
    try:
        resources = load(path, env)
    except ConfigErrors as errors:
        return errors.findings
    return lint(resources, env=env, price_book=price_book or GenaiPrices(SystemClock()))
