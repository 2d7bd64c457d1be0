"""Resources → Snapshot, and the lint rules that find what can never take effect."""

from tidegate.compile.check import check
from tidegate.compile.price_book import GenaiPrices
from tidegate.compile.prices import NoPrices, PriceBook
from tidegate.compile.rules import RULES, lint
from tidegate.compile.snapshot import compile_snapshot

__all__ = ["RULES", "GenaiPrices", "NoPrices", "PriceBook", "check", "compile_snapshot", "lint"]
